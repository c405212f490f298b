"""Sentences that talk to a language model instead of to the reader.

Retrieved pages are untrusted, and some hold prompts: to teach, or to attack. A quote of "ignore all previous instructions" informs nobody
unless the question is about prompts. What hides such a sentence (zero-width characters, look-alike letters, entities, percent signs,
base64, rotated or spaced letters) is undone before it is read; the quote itself is never changed.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import functools
import html
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

from roadmap_rag.text import sentence_spans

# Letters of other scripts that look like Latin ones; only those that occur in plain English words.
_LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕԁԛԝвнкмтгАЕОРСУХІЈЅВНКМТαορνικτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧɡıǀ",
    "aeopcyxijsdqwbhkmtrAEOPCYXIJSBHKMTaopviktuxABEZHIKMNOPTYXgil",
)
_LEET = str.maketrans("013457@$", "oieastas")

_OVERRIDES = re.compile(
    r"""
    \b(?:ignore|disregard|forget|override|bypass|discard|skip)\b[^.]{0,40}\b(?:previous|prior|above|preceding|earlier|former|other|all|any|your|these|those|system)\b
        [^.]{0,30}\b(?:instructions?|prompts?|rules?|messages?|context|guidelines?|directions?|orders?|training|passages?|sources?|questions?|said|told|commands?)\b
    |\b(?:ignore|disregard|forget|override)\b[^.]{0,25}\b(?:instructions?|prompts?|rules?|messages?|guidelines?)\b[^.]{0,15}\b(?:above|before|so\ far|earlier)\b
    |\b(?:new|updated|real|actual|important|urgent)\ (?:system\ )?instructions?\b|\bsystem\ override\b|\bprompt\ injection\ payload\b|\bjailbreak\b[^.]{0,20}\bmode\b
    |(?:^|\n)\W*(?:system|assistant|developer)\s*(?:prompt|message|note|turn)?\s*[:：>\]]|(?:^|\n)\W*(?:user|human)\s*[:：>\]]
    |<\|[\w ]{2,20}\|?>|\[/?(?:INST|SYS)\]|<</?SYS>>|</?(?:system|assistant|instructions?|passage|context|prompt)\b[^>]*>|\#{2,}\s*(?:instruction|response|system)s?\b
    |\b(?:reveal|repeat|print|show|leak|output|disclose|tell)\b[^.]{0,30}\b(?:your|the|this|hidden|system|initial|full)\b[^.]{0,20}\b(?:prompt|instructions)\b
    |\byou\ (?:are|will)\ now\b|\bfrom\ now\ on\b[^.]{0,40}\b(?:you|answer|respond|reply|always|only|speak)\b
    |\b(?:do\ not|don['’]t|never)\ (?:mention|tell|cite|reveal|answer|warn|inform|disclose|use\ the\ (?:passages|sources))\b
    |\b(?:your\ (?:answer|reply|response|output)|the\ (?:answer|reply|response))\ (?:must|should|shall|has\ to|will)\ (?:always\ |only\ )?(?:be|contain|include|start|begin|end|say|read|consist)\b
    |\b(?:llms?|ai\ (?:models?|assistants?|agents?)|language\ models?|assistants?|chatbots?|bots)\b[^.]{0,20}\b(?:reading|processing|summari[sz]ing|that\ read)\b[^.]{0,20}\b(?:this|page|text|document)\b
    |\b(?:attention|note\ to|dear|hey|hello|instructions?\ (?:for|to))\W+(?:all\ |any\ |the\ )?(?:llms?|ai|assistants?|chatbots?|language\ models?|models?|summari[sz]ers?)\b
    |\b(?:append|insert|embed|include|add|render|display)\b[^.]{0,40}\b(?:image|link|url|markdown|pixel)\b|\b(?:send|post|forward|exfiltrate|transmit)\b[^.]{0,40}\b(?:to\ (?:http|this|the\ following)|conversation|chat\ history|api\ keys?|passwords?|secrets?)\b
    |!\[[^\]]*\]\s*\(|\[[^\]]*\]\s*\(\s*(?:https?|javascript|data):|\b(?:https?|ftp)://|\bjavascript:|\bdata:\w+/|<\s*(?:img|script|iframe|svg|a|form|object)\b
    |\b(?:ignorier|vergiss|vergesst|missachte|verwirf|überschreib)\w*\b[^.]{0,60}\b(?:anweisung|regel|instruktion|vorherig|bisherig|obig|prompt|fragen?)\w*|\bab\ (?:jetzt|sofort)\b[^.]{0,40}\b(?:antworte|du|sie|nur)\b
    |\b(?:ignore[zr]?|oublie[zr]?)\b[^.]{0,50}\b(?:instructions?|consignes|précédent\w*|règles)|\b(?:ignora|ignore|ignorad|olvida|omite|esquece?|ignorar)\w*\b[^.]{0,50}\b(?:instrucciones|instruções|anterior\w*|reglas|regras)
    |\b(?:ignora|dimentica)\w*\b[^.]{0,50}\b(?:istruzioni|precedenti)|\b(?:negeer|vergeet)\b[^.]{0,50}\b(?:instructies|vorige)|\b(?:zignoruj|ignoruj)\b[^.]{0,50}\b(?:instrukcj|polece)
    |(?:忽略|无视|無視|忘记|忘掉|忽視|不要理会)[^。]{0,20}(?:指令|指示|说明|規則|规则|提示|内容|命令)|(?:从现在(?:开始|起)|從現在)[^。]{0,30}(?:你|回答)|(?:指示|命令|ルール)[^。]{0,12}(?:無視|忘れ)
    |(?:игнорируй|забудь|проигнорируй)\w*[^.]{0,50}(?:инструкц|указан|правил|предыдущ)|(?:تجاهل)[^.]{0,40}(?:التعليمات|السابقة)|(?:무시)[^.]{0,20}|(?:지시)[^.]{0,20}(?:무시)
    """,
    re.IGNORECASE | re.VERBOSE,
)  # fmt: skip
_ORDERS = re.compile(
    r"""
    ^\W*you\ (?:are\ (?:an?|the|now|not)|must|should\ (?:only|always|never)|(?:will|shall)\ (?:only|now|never|always|act|answer|respond|reply|be\ (?:given|provided)))\b
    |^\W*(?:du\ bist|du\ musst|sie\ sind|sie\ müssen)\b|^\W*(?:你是|你必须|你现在|请用|请只)|\byou\ (?:should|must|will|can)\ only\ (?:respond|reply|answer|output)
    |\b(?:respond|reply|answer|output|return|write|speak|say|print|antworte\w*|répond\w*|responde\w*)\b[^.]{0,25}\b(?:only|in|with|as|im|mit|nur|en|exactly)\b[^.]{0,25}
        \b(?:json|xml|yaml|pirate|rhymes?|capitals?|emojis?|french|german|spanish|the\ (?:(?:code|secret|pass|magic)\ ?)?(?:word|phrase|single|following|format)|format|loads|“|"|')
    |^\W*(?:act\ as|pretend|imagine\ you|behave\ as|assume\ the\ role|role-?play)\b|\byour\ (?:task|job|role|goal|mission|decisions?)\ (?:is|will\ be|must)\b|\bas\ an\ ai\ (?:language\ )?model\b
    |^\W*(?:respond|reply|output|return|print)\b|\b(?:response|output)\ format\b|\bensure\ the\ response\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_CONVERSATION = re.compile(
    r"""
    \b(?:ignore|disregard|forget|set\ aside)\b[^.]{0,15}\b(?:rules?|questions?|instructions?|everything|anything|what\ you)\b
    |\b(?:assistants?|chatbots?|bots?)\b[^.]{0,40}\b(?:must|shall|has\ to|have\ to|(?:is|are)\ (?:asked|told|required|expected|obliged|to)|always|never|(?:answer|end)s\ with|(?:close|claim|recommend|praise)s?)\b
    |\b(?:good|helpful|honest|loyal|polite)\ (?:assistant|answer|repl(?:y|ie))s?\b[^.]{0,40}\b(?:always|never|recommend|contain|include|mention|say)|\bthis\ study\ (?:assistant|tool|bot)\b
    |\b(?:each|every|any|your|the\ (?:right|only|correct|proper))\ (?:reply|replies|answers?|responses?)\ (?:is:|must|should|begins?|starts?|ends?|contains?|to\ (?:any|every|all|each))\b
    |\b(?:reply|answer|response)\ to\ (?:any|every|all|each)\b|\b(?:end|start|beginning|close|top|bottom)\ of\ (?:each|every|your|any)\ (?:reply|answer|response|summary)\b
    |\bto\ (?:finish|complete|begin)\ (?:the|your|this)\ (?:answer|reply|response)\b|\b(?:whatever|whenever)\b[^.]{0,25}\b(?:asked|asks|comes\ up)\b|\bbe\ mentioned\ (?:when|if|in\ (?:each|every))
    |\b(?:start|begin|open)\ (?:each|every|your|all)\ (?:answers?|repl(?:y|ies)|responses?|messages?)\b
    |\bin\ (?:place\ of\ )?your\ (?:answer|repl(?:y|ies)|response|text|output)\b
    |\b(?:readers?|users?)\ (?:should|must|has\ to|have\ to)\ be\ (?:told|informed|sent)\b|\btell\ (?:the\ (?:readers?|users?)|them|everyone)\b|\b(?:history|rest|text)\ of\ (?:the|this|your)\ (?:conversation|chat|session)\b
    |\b(?:rules|instructions|guidelines)\ (?:you|it|they)\ (?:follow|were\ given|got|obey)|\b(?:your|hidden|secret)\ (?:initial|first|hidden|original|secret)?\ ?(?:messages?|rules?|instructions?)\b
    |\b(?:api\ keys?|passwords?|environment\ variables|secrets)\b[^.]{0,20}\b(?:it|you|they)\ knows?\b|\b(?:obey|do\ as\ it\ says|cite\ this\ page|as\ the\ source)\b
    |^\W*please\ (?:write|say|put|add|include|print|mention|tell|answer|reply|respond|compose|show|state)\b|^\W*(?:q|a|question|answer)\ ?:\s
    |(?:^|[.;:!?]\ |,\ |\b(?:please|then|and|instead|always|must|should|just)\ )(?:(?:say|write|print|state|type|put)\ (?:only|nothing|exactly|the\ (?:words?|phrase|code))|say\ that\ the|(?:close|end|finish|conclude|sign\ off)\ (?:with|each|every)
        |compose\ a|praise|recite|(?:repeat|translate|append|recommend)\b[^.]{0,30}\b(?:text\ above|message|prompt|repl(?:y|ies)|answers?|responses?|after\ me|word\ for\ word))\b
    |\b(?:write|say|print|output|state|type|answer|reply|close|end|finish|begin|start|told)\b\W(?:\w+\W){0,3}?(?-i:[A-Z]{3,}-[A-Z0-9-]{2,})
    """,
    re.IGNORECASE | re.VERBOSE,
)  # fmt: skip
"""Talk about the conversation that a page cannot know of: what every reply must hold, what the assistant has to do, what rules it follows."""
_ABOUT_PROMPTS = re.compile(r"\b(?:prompts?|prompting|inject\w*|jailbreak\w*|instruct\w*|system messages?|role)\b|提示|指令", re.IGNORECASE)
LEFT_OUT = "[…]"
"""Stands in a prompt where a page ordered a model about."""
_CODE = re.compile(r"^\s*(?:#|return\b|print\b)|\bprint\(|=\s*\S")
_LINKS = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)|\b(?:https?|ftp)://\S+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_MIXED = re.compile(r"[A-Za-z][013457@$]|[013457@$][A-Za-z]")
_SQUEEZED = re.compile(
    r"(?:ignore|disregard|forget|override)(?:all|any|the|your)?(?:of)?(?:the|your)?(?:previous|prior|above|preceding|earlier)(?:instruction|prompt|rule|message)"
)


def instruction_like(sentence: str, question: str = "") -> bool:
    """Whether a sentence orders a language model about, or carries an image or an address.

    When the question is about prompts, sentences of prompts such as "You are a helpful assistant" are no longer; overrides,
    fake turns, talk about the conversation itself, images and addresses always are.
    """
    overrides, orders = _judge(sentence)
    return overrides or (orders and not _ABOUT_PROMPTS.search(question))


def without_orders(text: str, question: str = "") -> str:
    """A passage as a model may read it: each line or sentence that orders one about is left out; addresses alone are no reason for it."""
    shown, end = "", 0
    for start, stop in sentence_spans(text):
        lines = [LEFT_OUT if _orders(line, question) else line for line in text[start:stop].split("\n")]
        shown += text[end:start] + "\n".join(lines)
        end = stop
    return shown + text[end:]


def _orders(line: str, question: str) -> bool:
    overrides, orders = _judge(_LINKS.sub(r"\1 ", line))
    return overrides or (orders and not _CODE.search(line) and not _ABOUT_PROMPTS.search(question))


@functools.lru_cache(maxsize=8_192)
def _judge(sentence: str) -> tuple[bool, bool]:
    readings = tuple(dict.fromkeys(_readings(sentence)))
    overrides = any(_OVERRIDES.search(reading) or _CONVERSATION.search(reading) for reading in readings) or any(
        _SQUEEZED.search(re.sub(r"[\W_]", "", reading).lower())
        for plain in readings
        for reading in (plain, plain[::-1], codecs.decode(plain, "rot13"))
    )
    return overrides, any(_ORDERS.search(reading) for reading in readings)


def _readings(sentence: str) -> Iterator[str]:
    """The sentence as it might be meant: plain, without what hides it, and what is encoded in it."""
    plain = html.unescape(sentence)
    yield plain
    visible = "".join(char for char in unicodedata.normalize("NFKC", plain) if unicodedata.category(char) not in ("Cf", "Mn"))
    latin = re.sub(r"[*_`~]", "", visible.translate(_LOOK_ALIKES))
    yield latin
    if _MIXED.search(latin):
        yield latin.translate(_LEET)
    if "%" in visible:
        yield unquote(visible)
    for match in _BASE64.finditer(visible):
        piece = match.group().rstrip("=")
        try:
            decoded = base64.b64decode(piece + "=" * (-len(piece) % 4), altchars=b"-_" if re.search(r"[-_]", piece) else None).decode(
                "utf-8"
            )
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
        if decoded.isprintable():
            yield decoded
