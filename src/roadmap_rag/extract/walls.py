"""Recognises pages that are not the article: bot, cookie and login walls, pages that need a script, previews, and soft 404s.

Each of them is short. An article that discusses captchas, cookies or 404s is not, so length decides first.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

LONGEST_WALL = 1_500
"""Characters of text beyond which a page is taken for an article whatever it says."""
SHORT = 600
"""Characters up to which a page with a password field, or that asks to sign in, is a login page and not an article with a form."""
NEXT_TO_NOTHING = 100
"""Characters below which the extracted text says nothing, and what the page shows besides it counts."""


class Wall(NamedTuple):
    """``missing`` is a page that is not there (failed), ``blocked`` one that is not shown."""

    kind: Literal["blocked", "missing"]
    reason: str


def _any(*patterns: str, at_start: bool = False) -> re.Pattern[str]:
    return re.compile((r"^(?:" if at_start else r"(?:") + "|".join(patterns) + ")", re.IGNORECASE)


BOT_TITLE = _any(
    r"just a moment",
    r"attention required",
    r"access (?:denied|to this page has been denied)",
    r"are you (?:a )?(?:human|robot)",
    r"(?:robot|security) check\b",
    r"(?:bot|human) verification",
    r"vercel security checkpoint",
    r"pardon our interruption",
    r"making sure you're not a bot",
    r"ddos-guard",
    r"one moment, please",
    r"checking your browser",
    r"please wait\W*$",
    r"verify(?:ing)? (?:that )?you are (?:a )?human",
    r"you have been blocked",
    r"request (?:rejected|blocked)",
    r"(?:403 |error 403\W*)?forbidden\W*$",
    r"too many requests|429\b",
    at_start=True,
)
BOT_TEXT = _any(
    r"verify(?:ing)? (?:that )?you are (?:a )?human",
    r"prove (?:that )?you(?:'re| are) (?:not a robot|human)",
    r"\bi'm not a robot",
    r"unusual traffic from your",
    r"complete the (?:captcha|security check)",
    r"checking (?:your browser before|if the site connection is secure)",
    r"enable javascript and cookies to continue",
    r"you have been blocked",
    r"are you a robot\?",
    r"press (?:&|and) hold to confirm",
)
BOT_MARKUP = _any(
    r"/cdn-cgi/challenge-platform",
    r"cf-browser-verification|cf_chl_opt|cf-turnstile",
    r"id=\"challenge-form\"",
    r"px-captcha",
    r"_Incapsula_Resource",
    r"captcha-delivery\.com",
    r"anubis_challenge",
    r"awsWafCookieDomainList",
    r"/_sec/cp_challenge",
)
LOGIN_PATH = _any(
    r"/(?:accounts?/)?(?:log-?in|sign-?in|sign-?up|sso|oauth2?|authorize|authwall|session/new|users/sign_in|servicelogin)(?:[/?.#]|$)"
)
LOGIN_TITLE = _any(r"^(?:log ?in|sign ?in|sign ?up|authentication required)\b", r"[|·–—-]\s*(?:log ?in|sign ?in)$")
LOGIN_TEXT = _any(
    r"\b(?:log|sign) ?in to (?:continue|view|read|see|access|your account)",
    r"\b(?:log|sign) ?in (?:or (?:sign up|create)|required)",
    r"\b(?:must|need to|have to|please) (?:be (?:logged|signed) in|(?:log|sign) ?in|create an account)",
    r"\bjoin (?:now )?to (?:view|see|read)",
)
PREVIEW = _any(
    r"this (?:post|article|story|content|page) is (?:for|only for|available to) (?:paid |paying )?(?:subscribers|members)",
    r"member-only (?:story|content)",
    r"subscribe to (?:continue|keep) reading",
    r"become a (?:paid )?(?:member|subscriber) to (?:read|continue)",
)
COOKIE = _any(r"\bcookies?\b", r"\bconsent\b", r"tracking technolog", r"personali[sz]ed ads", r"privacy (?:policy|choices|settings)")
COOKIE_ASK = _any(r"\b(?:accept|reject|agree|allow|manage|enable|consent)\b", r"\bwe (?:and our partners )?use\b")
SCRIPT = _any(
    r"\b(?:enable|turn on|activate|allow|requires?|needs?|without) java ?script",
    r"\bjava ?script (?:is|must be|has to be|seems to be) (?:required|disabled|enabled|turned (?:on|off))",
    r"\bjava ?script is not (?:enabled|available|supported)",
    r"browser (?:does not|doesn't) support java ?script",
)
MISSING = _any(
    r"^(?:error\W*)?(?:404|410)\b",
    r"\b404\W*(?:error|not found|page)",
    r"^not found\b",
    r"\b(?:page|file|article|site|repository|document|post|content|url)\b[^.]{0,40}\bnot (?:be )?found",
    r"\b(?:page|file|article|site|repository|document|post|content|url)\b[^.]{0,40}\b(?:doesn't|does not|no longer) exists?",
    r"\b(?:page|file|article|site|repository|document|post|content|url)\b[^.]{0,40}\b(?:no longer available|isn't here)",
    r"\b(?:page|file|article|site|repository|document|post|content)\b has been (?:removed|deleted)",
    r"(?:couldn't|could not|can't|cannot) find (?:that|this|the) page",
)
EMPTY_APP = re.compile(r"<div id=[\"']?(?:root|app|__next|__nuxt)[\"']?[^<>]*>\s*</div>", re.IGNORECASE)


def recognise_wall(*, html: str, head_title: str, text: str, visible: str, url: str, fetched_url: str, has_password: bool) -> Wall | None:
    """What kind of wall a page is, or None for an article.

    ``text`` is the extracted article, ``visible`` everything the page shows, ``html`` its source.
    """
    text, visible, head_title = (part.replace("’", "'") for part in (text, visible, head_title))
    body = re.sub(r"^#+ .*$", "", text, flags=re.MULTILINE).strip()
    if len(body) > LONGEST_WALL:
        return None
    first_line = text.lstrip("# ").split("\n", 1)[0]
    says = visible[:LONGEST_WALL] if len(body) < NEXT_TO_NOTHING else text
    if MISSING.search(head_title) or MISSING.search(first_line) or (len(body) < NEXT_TO_NOTHING and MISSING.search(says)):
        return Wall("missing", f'the page says that it is not there: "{head_title or first_line}"')
    whole = visible if len(visible) <= LONGEST_WALL else says
    if BOT_TITLE.search(head_title) or BOT_TEXT.search(whole) or (BOT_MARKUP.search(html) and len(body) < NEXT_TO_NOTHING):
        return Wall("blocked", "a bot check instead of the page")
    sent_to_login = LOGIN_PATH.search(fetched_url) is not None and LOGIN_PATH.search(url) is None
    asks_login = len(body) < SHORT and (has_password or LOGIN_TEXT.search(says) is not None)
    if sent_to_login or asks_login or LOGIN_TITLE.search(head_title):
        return Wall("blocked", "a login page instead of the page")
    if PREVIEW.search(says):
        return Wall("blocked", "only a preview: the rest is for subscribers")
    if _is_cookie_wall(says):
        return Wall("blocked", "a cookie wall instead of the page")
    if (SCRIPT.search(says) and len(body) < SHORT) or (len(visible) < NEXT_TO_NOTHING and EMPTY_APP.search(html)):
        return Wall("blocked", "the page shows its text only with JavaScript")
    return None


def _is_cookie_wall(text: str) -> bool:
    """Whether at least half of the sentences are about cookies or consent and one of them asks for it."""
    sentences = [sentence for sentence in re.split(r"(?<=[.!?])\s+|\n+", text) if len(sentence) > 15]
    about = [sentence for sentence in sentences if COOKIE.search(sentence)]
    return len(about) >= 2 and 2 * len(about) >= len(sentences) and any(COOKIE_ASK.search(sentence) for sentence in about)
