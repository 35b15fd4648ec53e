"""The form to sign in, in front of Streamlit: plain HTML that loads nothing, light or dark as the browser prefers."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from starlette.responses import HTMLResponse

FORM = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<link rel="icon" href="data:,"><style>
:root {{ color-scheme: light dark }}
body {{ background: light-dark(#f6f8fa, #0b0f14); color: light-dark(#1f2933, #dde5ee); font: 16px/1.5 system-ui, sans-serif; margin: 0;
  display: grid; place-items: center; min-height: 95vh }}
form {{ width: min(24rem, 90vw) }} h1 {{ font-size: 1.3rem }} label {{ display: block; margin-top: .6rem }} details {{ margin-top: 1.2rem }}
label, p, summary {{ color: light-dark(#52606d, #93a1b1) }} .wrong {{ color: light-dark(#b3261e, #ff7b72) }}
input, button {{ font: inherit; width: 100%; box-sizing: border-box; padding: .6rem .8rem; border-radius: .4rem; margin-top: .3rem;
  border: 1px solid light-dark(#8593a1, #2b3744); background: light-dark(#fff, #121922); color: inherit }}
button {{ background: #1f6feb; border-color: #1f6feb; color: #fff; cursor: pointer; margin-top: 1rem }}
a.elsewhere {{ display: block; text-align: center; padding: .6rem .8rem; border-radius: .4rem; border: 1px solid light-dark(#8593a1, #2b3744);
  color: light-dark(#0a56b8, #79b8ff); text-decoration: none; overflow-wrap: anywhere }} .wrong {{ overflow-wrap: anywhere }}
</style><form method="post" action="/enter"><h1>{title}</h1>{message}<input type="hidden" name="next" value="{next}">
<label>Name<input name="name" autocomplete="username" maxlength="64"{focus}></label>
<label>Password<input name="password" type="password" autocomplete="current-password"></label><button>Sign in</button>
{elsewhere}{token}</form></html>"""
ELSEWHERE = '<p><a class="elsewhere" href="/oidc/login?next={next}">Sign in with {label}</a></p>'
TOKEN = """<details{opened}><summary>Without a user: the view token</summary>
<label>View token<input name="look" type="password" autocomplete="off"></label>
<p>The token is <code>pages_look_token</code> in <code>state/secrets.json</code>. <code>ringfence status</code> prints an address that needs no
token; <code>ringfence user add</code> adds a user.</p><button>Sign in with the token</button></details>"""
WRONG = '<p class="wrong">This token is wrong.</p>'
NOT_KNOWN = '<p class="wrong">Name or password is wrong, or the user is disabled.</p>'
NO_BOOKS = '<p class="wrong">The books do not answer, so no password can be checked now. The view token works.</p>'
SPENT = (
    '<p class="wrong">The code in this address was used already, or is older than an hour. '
    "<code>ringfence status</code> prints a new address.</p>"
)


def wrong_of(text: str) -> str:
    """A sentence as the form shows it."""
    return f'<p class="wrong">{escape(text)}</p>'


def page_of_form(message: str, after: str, status: int = 200, brand: str = "", elsewhere: str = "") -> HTMLResponse:
    """The form to sign in, and what is wrong with the last entry. `brand`: the name of a customers' portal, where nobody enters by a token;
    `elsewhere`: the name of an OpenID provider."""
    by_token = message in (WRONG, SPENT)
    focus, opened = ("", " open") if by_token else (" autofocus", "")
    token = "" if brand else TOKEN.format(opened=opened)
    title = escape(brand or "Ringfence")
    way = ELSEWHERE.format(next=quote(after, safe=""), label=escape(elsewhere)) if elsewhere and not brand else ""
    return HTMLResponse(FORM.format(title=title, message=message, next=escape(after), focus=focus, elsewhere=way, token=token), status)
