"""Recognises pages that are not the article: bot, cookie and login walls, pages that need a script, and soft 404s.

Each of them is short. An article that discusses captchas, cookies or 404s is not, so length decides first.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

LONGEST_WALL = 1_500
"""Characters of text beyond which a page is taken for an article whatever it says."""

NEXT_TO_NOTHING = 200
"""Characters below which a page that asks for JavaScript has nothing else to say."""


class Wall(NamedTuple):
    """``missing`` is a page that is not there (failed), ``blocked`` one that is not shown."""

    kind: Literal["blocked", "missing"]
    reason: str


BOT_TITLE = re.compile(
    r"^(?:just a moment|attention required|access denied|access to this page has been denied|are you (?:a )?(?:human|robot)|robot check|"
    r"security check|pardon our interruption|vercel security checkpoint|making sure you(?:'|’)?re not a bot|ddos-guard|one moment, please|"
    r"checking your browser|please wait\W*$|verify(?:ing)? you are (?:a )?human|bot verification|human verification|you have been blocked|"
    r"request (?:rejected|blocked)|403 forbidden|forbidden\W*$|too many requests|429\b)",
    re.IGNORECASE,
)
BOT_MARKUP = re.compile(
    r"/cdn-cgi/challenge-platform|cf-browser-verification|cf_chl_opt|cf-turnstile|id=\"challenge-form\"|px-captcha|_Incapsula_Resource|"
    r"captcha-delivery\.com|anubis_challenge|awsWafCookieDomainList|/_sec/cp_challenge|class=\"(?:g|h)-?(?:re)?captcha",
    re.IGNORECASE,
)
BOT_TEXT = re.compile(
    r"\b(?:verify(?:ing)? (?:that )?you are (?:a )?human|prove you(?:'|’)?re (?:not a robot|human)|i(?:'|’)?m not a robot|unusual traffic from your|"
    r"complete the (?:captcha|security check)|checking (?:your browser|if the site connection is secure)|automated (?:access|requests|queries)|"
    r"enable javascript and cookies to continue|you have been blocked|are you a robot|press (?:&|and) hold to confirm)",
    re.IGNORECASE,
)
LOGIN_PATH = re.compile(
    r"/(?:accounts?/)?(?:log-?in|sign-?in|signup|sso|oauth2?|authorize|authwall|session/new|users/sign_in|ServiceLogin)(?:[/?.]|$)",
    re.IGNORECASE,
)
LOGIN_TITLE = re.compile(r"^(?:log ?in|sign ?in|sign ?up|authentication required)\b|\b(?:log ?in|sign ?in)\s*$", re.IGNORECASE)
LOGIN_TEXT = re.compile(
    r"\b(?:(?:log|sign) ?in (?:to (?:continue|view|read|see|access|your account)|or (?:sign up|create)|required)|"
    r"(?:must|need to|have to|please) (?:be logged in|be signed in|log ?in|sign ?in|create an account)|join (?:now )?to (?:view|see|read))",
    re.IGNORECASE,
)
PAYWALL = re.compile(
    r"\b(?:this (?:post|article|story|content|page) is (?:for|only for|available to) (?:paid |paying )?(?:subscribers|members)|member-only (?:story|content)|"
    r"subscribe to (?:continue|keep) reading|become a (?:paid )?(?:member|subscriber) to (?:read|continue))",
    re.IGNORECASE,
)
COOKIE = re.compile(r"\b(?:cookies?|consent|tracking technolog|personali[sz]ed ads|privacy (?:policy|choices|settings))", re.IGNORECASE)
COOKIE_ASK = re.compile(r"\b(?:accept|reject|agree|allow|manage|enable|we (?:and our partners )?use|consent)\b", re.IGNORECASE)
SCRIPT = re.compile(
    r"\b(?:(?:enable|turn on|activate|allow|requires?|needs?|without) java ?script|java ?script (?:is|must be|has to be|seems to be) "
    r"(?:required|disabled|enabled|turned (?:on|off)|not (?:enabled|available|supported))|browser (?:does not|doesn't) support java ?script)",
    re.IGNORECASE,
)
MISSING = re.compile(
    r"^(?:error\s*)?(?:404|410)\b|\b404\s*[-–—:|]?\s*(?:error|not found|page)|\b(?:page|file|article|site|repository|document|post|content|url)\b[^.]{0,40}"
    r"\b(?:not (?:be )?found|(?:does not|doesn(?:'|’)?t|no longer) exists?|(?:is )?no longer available|has been (?:removed|deleted)|(?:is )?gone|"
    r"could(?: not|n(?:'|’)?t) be found|can(?:not|(?:'|’)?t) be found|isn(?:'|’)?t here)|^(?:not found|nothing (?:was )?found)\b|"
    r"(?:couldn(?:'|’)?t|could not|can(?:'|’)?t|cannot) find (?:that|this|the) page",
    re.IGNORECASE,
)


def recognise_wall(*, html: str, head_title: str, text: str, visible: str, url: str, fetched_url: str, has_password: bool) -> Wall | None:
    """What kind of wall a page is, or None for an article.

    ``text`` is the extracted article, ``visible`` everything the page shows, ``html`` its source.
    """
    body = re.sub(r"^#+ .*$", "", text, flags=re.MULTILINE)
    if len(body) > LONGEST_WALL:
        return None
    first_line = text.lstrip("# ").split("\n", 1)[0]
    shown = visible if len(visible) <= 2 * LONGEST_WALL else text
    if MISSING.search(head_title) or MISSING.search(first_line) or (len(body) < NEXT_TO_NOTHING and MISSING.search(shown[:500])):
        return Wall("missing", f"a page that says it is not there ({head_title or first_line})")
    if BOT_TITLE.search(head_title) or BOT_TEXT.search(shown) or (BOT_MARKUP.search(html) and len(body) < NEXT_TO_NOTHING):
        return Wall("blocked", "a bot check instead of the page")
    redirected_to_login = LOGIN_PATH.search(fetched_url) is not None and LOGIN_PATH.search(url) is None
    if (
        redirected_to_login
        or LOGIN_TITLE.search(head_title)
        or (LOGIN_TEXT.search(shown) and (has_password or len(body) < 600))
        or (has_password and len(body) < 600)
    ):
        return Wall("blocked", "a login page instead of the page")
    if PAYWALL.search(shown):
        return Wall("blocked", "only a preview: the rest is for subscribers")
    if _is_cookie_wall(text):
        return Wall("blocked", "a cookie wall instead of the page")
    if SCRIPT.search(shown) and len(SCRIPT.sub("", body)) < 2 * NEXT_TO_NOTHING:
        return Wall("blocked", "the page shows its text only with JavaScript")
    if (
        len(visible) < NEXT_TO_NOTHING
        and re.search(r"<script\b", html, re.IGNORECASE)
        and re.search(r"<noscript\b[^>]*>[^<]*java ?script", html, re.IGNORECASE)
    ):
        return Wall("blocked", "the page shows its text only with JavaScript")
    if len(visible) < 50 and re.search(r"<div id=[\"']?(?:root|app|__next|__nuxt)\b[^>]*>\s*</div>", html, re.IGNORECASE):
        return Wall("blocked", "the page shows its text only with JavaScript")
    return None


def _is_cookie_wall(text: str) -> bool:
    """Whether at least half of the sentences are about cookies or consent and one of them asks for it."""
    sentences = [sentence for sentence in re.split(r"(?<=[.!?])\s+|\n+", text) if len(sentence) > 15]
    about = [sentence for sentence in sentences if COOKIE.search(sentence)]
    return len(about) >= 2 and 2 * len(about) >= len(sentences) and any(COOKIE_ASK.search(sentence) for sentence in about)
