"""How do programs ask? FastAPI; the hot handlers are Starlette's own."""
