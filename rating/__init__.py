"""What does it cost, and who should carry it? Decks, the prefix index and the price. Pure."""
