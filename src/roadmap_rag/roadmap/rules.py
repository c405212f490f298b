"""How people word the kinds of questions about a roadmap: the rules of ``recognise``, as data.

A clause is compared in lower case without articles, ``@`` standing for a topic, part or section and ``%`` for a path. A kind has several
wordings, regular expressions of which one has to be found; the order of the rules is the order in which they are tried, so that the more
particular kind comes first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Words of the wordings and of everyday talk around them; they leave nothing open about what is asked.
_ROADMAP_WORDS = frozenset(
    """roadmap roadmaps path paths track tracks curriculum syllabus part parts section sections chapter chapters topic topics segment
    segments block blocks stage stages module modules lesson lessons learning order sequence step steps subject subjects table list
    lists prerequisite prerequisites prereq prereqs lab labs entry test reading readings""".split()
)
_RULE_WORDS = frozenset(
    """needed needs requirement requirements required require requires requiring prior knowledge background necessary knows known
    knowing learn learned learnt study studied studying studies read watch start started starting starts begin begins beginning
    began finish finished finishing complete completed completing completely done next follow follows following followed afterwards
    afterward later earlier comes come coming go goes going stand stands standing located place places placed position belongs
    belong fit fits sit sits filed direct directly indirect indirectly right immediately straight everything full chain whole entire
    total transitive including included includes include hard harder hardest difficult difficulty difficulties easy easier easiest
    advanced beginner beginners become becomes accessible possible reachable reach rank structured organized organised divided
    outline segment shortest fastest quickest dependency dependencies morning evening afternoon along sensible equally lie lies away
    github linked key main core central major wrote write writes written made created authored published recorded author authors
    whose databases newbie newbies application applications novice novices intermediate expert experts research level levels
    challenging demanding tough complex complicated rated rate rating graded grade stated meant supposed resource resources article
    articles video videos paper papers book books course courses link links url urls material materials doc docs documentation
    tutorial tutorials repository repositories repo repos site sites website websites blog blogs post posts piece pieces recommended
    recommend recommends recommendation recommendations suggest suggests suggested suggestion suggestions listed lists exercise
    exercises project projects hands practical practice practise build builds building built skill skills tool tools tooling library
    libraries framework frameworks software stack technologies technology concept concepts subtopic subtopics idea ideas cover
    covers covered covering contain contains contained contents content number count name names named first second third last final
    thing things open opens opened opening unlock unlocks lead leads enable enables door doors depend depends depending rest rests
    based base prepare prepares preparation ready jump dive tackle tackling turn move moves moving approach try trying new want
    wants wanted like ask asks asked assume assumes assumed expect expects expected demand demands presuppose presupposes foundation
    foundations basics comfortable familiar understand understood understanding master mastered mastering inside behind way there
    please thanks thank hi hello hey ok okay good best better great quick question wonder wondering help show showing find found
    available exist exists another else different versus between compare compared comparison difference bottom top top-level today
    currently now soon already far ahead precede precedes preceding preceded previous previously sooner skip skipping optional leave
    teach teaches taught treat treats treated deal deals handle handles mention mentions mentioned discuss discusses discussed touch
    touches feature features featured appear appears person someone beginner-friendly friendly suitable sense makes self assessment
    overall general exactly precisely simply basically actually order time beforehand bring kind kinds type types sort theory cool
    nice awesome guys hit overview self-study study-plan plan guide guides happens look looks looking see hear heard interested
    getting get gets got end put puts cannot lot bit little big maybe perhaps also too well still even yet per short long many much
    bunch pick choose chosen select important relevant related set anything something nothing work works working dealing explain
    explains explaining introduces introduce introducing introduction intro wise literature source sources page pages lecture
    lectures reference references notebook notebooks dataset datasets take takes taken belt allow allows every rely relies""".split()
)
KNOWN_WORDS = _ROADMAP_WORDS | _RULE_WORDS

SETUP_WORDS = frozenset(
    """set setup set-up install installed installs installing environment gpu gpus graphics card hardware machine computer laptop pc vram
    package manager editor version operating system fast own""".split()
)

KIND_OF = {
    "article": "article", "blog": "article", "post": "article", "video": "video", "lecture": "video", "paper": "paper", "book": "book",
    "course": "course", "docs": "docs", "doc": "docs", "documentation": "docs", "repository": "repository", "repositories": "repository",
    "repo": "repository", "site": "site", "website": "site", "notebook": "notebook", "dataset": "dataset",
}  # fmt: skip


# Groups of words that several wordings share, by the mark that stands for them.
_SHARED = {
    "<needs>": (
        "needs?|needed|requires?|required|requirements?|prerequisites?|prereqs?|pre ?requisites?|preconditions?|background|assumes?|assumed"
        "|presupposes?|expects?|expected|demands?|asks? for|asked|necessary|dependenc(y|ies)"
        "|builds? on|built on|depends? on|rests? on|based on|relies on"
    ),
    "<study>": (
        "learn|study|studied|learned|learnt|know|known|read|understand|understood|master|mastered|do|done|take|have|cover|covered|finish"
        "|finished|complete|completed|be|start|begin|see|tackle|familiar|comfortable|behind me|need|bring"
    ),
    "<level>": (
        "beginners?|easy|easiest|basic|starters?|newbies?|novices?|intermediate|advanced|experts?|hard|hardest|difficult|research"
        "|entry level"
    ),
    "<hard>": "hard|difficult|advanced|challenging|demanding|tough|easy|complex|complicated|tricky",
    "<kinds>": (
        "resources?|articles?|videos?|lectures?|papers?|books?|courses?|links?|urls?|readings?|materials?|tutorials?|docs?|documentation"
        "|repositor(y|ies)|repos?|sites?|websites?|blogs?|posts?|pieces?|sources?|references?|notebooks?|datasets?|literature"
    ),
    "<labs>": "labs?|exercises?|projects?|practicals?|assignments?|hands on",
    "<all>": (
        r"all|everything|every|whole|full|complete|entire|chain|transitive\w*|indirect\w*|including|scratch|recursive\w*|ultimately"
        r"|from zero"
    ),
}


@dataclass(frozen=True)
class Rule:
    """``fewest`` and ``most`` say how many names a clause holds, a list of names counting as one.

    ``spare`` words may be left over although the clause does not mention the roadmap. With ``path`` a path has to be named, and no topic.
    """

    kind: str
    wording: re.Pattern[str]
    fewest: int
    most: int
    spare: int
    path: bool


def _rule(kind: str, *wordings: str, fewest: int = 1, most: int = 1, spare: int = 0, path: bool = False) -> Rule:
    text = "|".join(wordings)
    for mark, group in _SHARED.items():
        text = text.replace(mark, group)
    return Rule(kind, re.compile(text), fewest, most, spare, path)


RULES = (
    _rule(
        "author",
        r"\bwho (wrote|made|created|authored|published|recorded|is (\w+ )?author|is behind|writes|compiled"
        r"|put together|stands behind)",
        r"\bauthors? of\b",
        r"\b(which|what) (path|roadmap|list|track) is %",
        r"\b(written|authored|made|created) by whom\b",
        r"\bwhose\b",
        fewest=0,
        most=2,
        spare=2,
    ),
    _rule(
        "relation",
        r"^(so |and |then |but )*(is|are|does|do|should|must|may|would|shall|will|has|have|(can|could) \w+ (\w+ )?(study|learn|start|take"
        r"|tackle|understand|read|skip|begin|jump|go|do @ before))"
        r"\b.*@.*\b(before|after|prior to|without|first|prerequisites?|required|necessary|needed|needs?|requires?"
        r"|depends?|earlier|later|until|precedes?|follows?|skipping|build on)\b.*@",
        fewest=2,
        most=2,
    ),
    _rule(
        "relation",
        r"^(so |and |then |but )*(is|are|does|do|should|must|can|could|may|would|shall)\b.*@.*@.*\b(first|earlier"
        r"|later|before|after)\b",
        fewest=2,
        most=2,
    ),
    _rule(
        "relation",
        r"\bhave to know @ (before|for)\b.*@",
        r"\b(necessary|needed|required) (to \w+ )?@ (for|to|before)\b.*@",
        r"\bneed @ (for|to|before|in order to)\b.*@",
        r"@ before or after @",
        r"@ or @ first",
        r"first @ or @",
        r"@ first or @",
        r"(what|which) (one )?(of (two|them|these) )?(comes|is|should|do|stands|to)\b.*\b(first|earlier|later)\b",
        r"@ before @$",
        r"@ after @$",
        r"\border (of|between) @ and @",
        fewest=2,
        most=2,
    ),
    _rule(
        "compare",
        r"easier",
        r"harder",
        r"more (difficult|advanced|demanding|challenging|complex)",
        r"difference in (difficulty|level)",
        r"difference of (difficulty|level)",
        r"compare.*(difficult|level|hard)",
        r"(difficulty|level|difficult|hard|levels).*(versus|compared|between|or|than)",
        r"same (level|difficulty)",
        r"as (hard|difficult|advanced) as",
        r"(difficulty|level|levels) of @ (and|versus) @",
        r"difficult\w* @ versus @",
        r"@ (and|versus|or) @.*(difficulty|level|hard|easy|difficult|advanced)",
        fewest=2,
        most=2,
    ),
    _rule(
        "route",
        r"\bfrom @ .*\bto @",
        r"\bbetween (me and )?@ (and|if) ",
        r"\b(know|knowing|finished|done) @ .*\b(want|get|go|path|way|need|reach|until)\b.*@",
        fewest=2,
        most=2,
    ),
    _rule(
        "entry",
        r"self (assess\w*|ratings?|tests?|evaluation)",
        r"entry (tests?|skills?|requirements?|exam)",
        r"\bhow (good|well|fluent|strong|skilled|proficient) (\w+ ){0,3}(must|should|do|does|has|have|need)\b",
        r"\bhow much\b.*\b(need|know|required|must|should|want|wants|expected)",
        r"rate myself",
        r"\bdo i (need|have) to (know|be good at|be able)\b",
        r"self rating",
        r"(minimum|which|what) (mark|score|rating|marks|scores)\b",
        fewest=0,
        most=2,
        spare=1,
    ),
    _rule(
        "setup",
        r"(?=.*\b(need|needed|needs|required|requires?|requirements|recommend\w*|should|must|want|have|before|begin"
        r"|start|set ?up|named)\b).*(\bset ?up\b|\binstall\w*|\benvironment\b|\bgpu\b|\bgraphics card\b|\bhardware\b"
        r"|\b(on )?my (machine|computer|laptop|pc)\b|\bvram\b|\bpackage manager\b|\beditor\b|\boperating system\b"
        r"|\bdocker\b|\bconda\b|\bjupyter\b|\bpython version\b"
        r"|\bsystem requirements\b)",
        fewest=0,
        most=1,
    ),
    _rule(
        "lab search",
        r"\b(which|what|any|a|is there|one|find) (\w+ )?(lab|exercise|project|labs|exercises|projects) (lets?"
        r"|compares?|uses?|using|with|teach\w*|builds?|trains?|deals?|is about|are about|about|covers?|works?|touch\w*"
        r"|involves?|makes?|needs?|that|where|do i|can i|should i|shows?|on)\b",
        fewest=0,
        most=9,
        spare=9,
    ),
    _rule(
        "paths",
        r"(which|what|list|how many|all|show|name|give)\b.*\b(learning )?(paths|roadmaps|tracks|documents)\b(?!.*@)",
        r"\bwhat is (this |whole )?roadmap( about)?$",
        r"\broadmap (overview|consists? of|made of)",
        fewest=0,
        most=0,
    ),
    _rule(
        "path property",
        r"\b(which|what) (learning )?(paths?|roadmaps?|tracks?)\b.*\b(has|have|with|gives?|states?|contains?|includes?|offers?)\b.*"
        r"\b(labs?|exercises|projects|levels?|difficult\w*|links|readings|resources)",
        fewest=0,
        most=0,
    ),
    _rule(
        "starts",
        r"(which|what) (learning )?(path|paths|roadmap|track|one)\b.*\b(starts?|begins?|opens?)\b",
        fewest=0,
        spare=1,
    ),
    _rule(
        "numbered",
        r"\btopic (is )?(number |no )?\d+\b",
        r"\b(number \d+|\d+(st|nd|rd|th)) topic\b",
        fewest=0,
        most=0,
        spare=1,
    ),
    _rule(
        "start",
        r"\bwhere (should|do|can|would|could|to|must) (i |one |we )?(start|begin)",
        r"\b(first|last|final|initial|very first) (topic|subject|step|thing)\b",
        r"\bwhat (\w+ )*(should|do|must|can) i (learn|study|read|do|start|begin|take)( with)? first$",
        r"\bstart with$",
        r"\bbegin with$",
        r"\bstarting point\b",
        fewest=0,
        most=0,
    ),
    _rule(
        "count",
        r"\bhow many\b",
        r"\bnumber of\b",
        r"\bcount (of )?\b",
        r"\bhow long is\b",
        fewest=0,
        most=1,
    ),
    _rule(
        "no prerequisites",
        r"\b(what|which)\b.*\b(study|start|begin|learn|tackle|do)( \w+)? (right away|straight away|immediately|at once)",
        r"(topics?|subjects?|what|which|anything|where).*\b(no|without|any|zero|lack|lacks)\b( any| other| further)"
        r"? (prerequisites?|prereqs?|requirements?|prior knowledge|background)(?!.*@)",
        fewest=0,
        most=0,
    ),
    _rule(
        "by level",
        r"(topics?|subjects?|sections?|things?|ones|stuff)\b.*\b(<level>)\b",
        r"\b(<level>)( level| rated| friendly)? (topics?|subjects?|ones)\b",
        r"\b(most (difficult|advanced)) (topics?|subjects?)\b",
        r"^(anything|something) for (<level>)\b",
        r"(what|which)\b.*\b(suitable|good|right|meant|rated|there|are)\b.*\b(for (a |an |complete )?)(<level>)\b",
        fewest=0,
        most=0,
    ),
    _rule(
        "order",
        r"\bin (which|what) order\b(?!.*\bsections?\b)",
        r"\border of (all )?(topics|subjects|everything)\b",
        r"\b(all|list|every|which|what|show|name)\b( \w+){0,2} topics\b",
        r"\bfull (list|order)\b",
        r"\btopics in order\b",
        fewest=0,
        most=0,
    ),
    _rule(
        "optional",
        r"\b(skip|optional|leave out|mandatory|compulsory|obligatory|must do)\b",
        fewest=0,
        most=1,
    ),
    _rule(
        "outcome",
        r"\boutcomes?\b",
        r"\bhave in hand\b",
        r"\bafter (finishing|completing) @",
        r"\bable to do\b",
        r"\bwill i (get|have|be able)",
        r"\bresult of\b",
        r"\bgain from\b",
        r"\bgoal of\b",
        r"\bpromised\b",
        r"\bend up with after\b",
        r"\bachieve",
        fewest=0,
        most=1,
    ),
    _rule(
        "focus",
        r"\bfocus(es)?\b",
        r"\babout$",
        r"\bemphasis\b",
        r"\bis about\b",
        fewest=0,
        most=1,
    ),
    _rule(
        "address",
        r"(where|link|url|address|website).*(path|original|roadmap|find|online|%)",
        fewest=0,
        most=0,
        path=True,
    ),
    _rule(
        "opens",
        r"(which|what) (other |further |more )*(topics?|subjects?|things?|ones|sections?) (directly |also |all )?(needs?|requires?|asks?"
        r" for|builds?( directly)? on|depends?( directly)? on|rests? on|relies on|rely on|assumes?|presupposes?|expects?|demands?"
        r"|(are|is) (based|built) on)\b(?! for\b).*@",
        r"\b(have|has|list|lists|name) @ as (\w+ )?prerequisites?\b",
        r"(which|what|where) .*\b(is|are|do i need) @ (\w+ )?(prerequisites?|needed|required|necessary|good)"
        r" (of|for|in|to)\b",
        r"\b(topics?|what|which)\b.*\b(accessible|possible|reachable|within reach)\b",
        r"\bopens? up\b",
        r"@ opens?$",
        r"\bdoes @ open\b",
        r"\bunlocks?\b",
        r"\bleads? (me )?(on )?to\b",
        r"\benables?\b",
        r"\bdoors?\b",
        r"@ (is|are) (\w+ )?(prerequisites?|needed|required) (of|for) (what|which)",
        r"@ prepare(s)? (me )?for",
        r"\bfor (which|what)( \w+)? (is|are) @ (\w+ )?(needed|required|prerequisites?|necessary|useful)\b",
        r"\bwhat (needs|requires|depends on|builds on|build on) @",
        r"^(things|topics|everything) (that )?(need|require|depend on|build on) @",
        r"\bbuild(s)? (directly )?on @",
        r"\bwhat (else )?(can|could) i (do|learn|study|tackle|take|start|read) (\w+ )?(after|once|when|if|now)\b",
        r"\bwhat is possible after",
        r"\bwhere (can|do|could|does|should|would) (i|@|it|that) (go|lead)",
    ),
    _rule(
        "everything",
        r"(\b(<all>)\b.*\b(<needs>|before|first|beforehand|way|there|direct)\b|(<needs>|before|first)"
        r"\b.*\b(<all>)\b|direct or not|does it take to \w+( \w+)? @|prerequisites? of (\w+ )?prerequisites?|(way|road|route|journey|path)"
        r" (\w+ )?to @|how (do|can|would|could|should) i (get|work my way|prepare|come) (up )?(to|for)\b|(get"
        r"|arrive|end up) (to|at|with) @|until @)",
    ),
    _rule(
        "next",
        r"\bnext\b(?! to)",
        r"\bafter(wards?)?\b",
        r"\bfollow(s|ing|ed)?\b",
        r"\bsucceeds?\b",
        r"\bsuccessor\b",
        r"\bmove on\b",
        r"\bwhat now\b",
        r"\bnow what\b",
        r"\bwhere to go\b|\bgo from (here|there|@)",
        r"\bsubsequent\b",
        r"\bonce i (have |am )?(done|finished|know|completed)",
    ),
    _rule(
        "previous",
        r"(what|which)( \w+){0,4} (comes?|stands?|is|goes|are|lies|sits|appears|directly|right|immediately|just)"
        r"( \w+){0,3} before @",
        r"\bprecedes?\b",
        r"\bpreceding\b",
        r"\bprevious\b",
        r"\bpredecessor\b",
        r"\bbefore @ in order\b",
        r"\b(right|directly|immediately|just|straight) before\b",
    ),
    _rule(
        "skills",
        r"(which|what) (\w+ )?(skills?|databases?|tools?|tooling|librar(y|ies)|frameworks?|software|stack|packages"
        r"|technolog(y|ies)|platforms?)\b",
        spare=1,
    ),
    _rule(
        "prerequisites",
        r"^(?!.*\b(how good|how well|materials?|links?|articles?|videos?|papers?|books?|resources?|something)\b).*\b(<needs>)\b",
        r"prior knowledge",
        r"\b(<study>)\b.*\b(before|prior to|first|beforehand|ahead of)\b",
        r"\bbefore\b.*@",
        r"@ what first",
        r"what first",
        r"\bfirst\b.*\bbefore\b",
        r"^what (\w+ )*before\b",
        r"\bprior to @",
        r"\bready for @",
        r"\b(knowledge|bring|in place)\b.*\bfor @",
        r"\bprepare\w* for @",
        r"\bfoundations? (for|of)\b",
        r"\b(ok|okay|fine|possible|sensible|advisable|wise) to (start|begin|jump|dive|go)( \w+)* @",
        r"@ (straight|right) away$",
        r"can i (start|begin|jump|dive|go)( \w+)* (with|into|to|straight|directly)\b",
    ),
    _rule(
        "difficulty",
        r"\bhow (\w+ )?(<hard>)\b",
        r"\bdifficult\w*\b",
        r"^((what|which) is )?levels? (of|for) @",
        r"@ levels?\b",
        r"\b(what|which) level (is|are|has|have|does|do|would)\b",
        r"\blevel (is|are|does|has|have)\b.*@",
        r"\bat (what|which) level\b",
        r"\b(is|are) @.*\b(<level>|<hard>)\b",
        r"^@ ((is|are) )?(for )?(<hard>|<level>)$",
        r"\brated\b",
        r"\brating\b",
        r"\b(how) .*@ (rated|graded|ranked)\b",
        r"\bbeginner friendly\b",
        r"^(is|are) (\w+ )?(good |suitable |right |too |meant )*(for )?(<level>|<hard>)\b",
        r"\bhardness\b",
        fewest=0,
        most=1,
    ),
    _rule(
        "labs",
        r"\b(<labs>)\b",
        r"\b(what|anything|something)\b.*\b(build|practi[cs]e|implement|code)\b(?! with)",
        fewest=0,
        most=1,
        spare=0,
    ),
    _rule(
        "readings",
        r"\b(<kinds>)\b.*@",
        r"@ (<kinds>)( please)?$",
        r"\blinked\b.*@",
        r"\b(<kinds>)\b.*\b(by|from)\b",
        r"^(<kinds>)$|\b(what|which|any|all|list|show|give|how many|number of)\b( \w+){0,2} (<kinds>)\b",
        r"\b(what|which|where|anything|something|stuff)\b.*\b(read|watch)\b",
        r"\b(where|something)\b.*\b(learn|study)\b",
        r"\b(what|anything|something)\b.*\b(written|wrote|write|recorded|record|published|publish|made|make|by)\b",
        fewest=0,
        most=1,
        spare=0,
    ),
    _rule(
        "skills",
        r"\b(skills?|tools?|tooling|librar(y|ies)|frameworks?|software|stack|packages|technolog(y|ies)|platforms?)\b",
        fewest=0,
        most=1,
        spare=1,
    ),
    _rule(
        "concepts",
        r"\b(what|which|list|name) (\w+ )?(concepts?|ideas|sub ?topics)\b",
    ),
    _rule(
        "place",
        r"\b(is|are) @ (also |a )?(part of|in|on|covered in|covered by|included in) (this |whole )?roadmap",
        r"\broadmap (also )?(covers?|includes?|contains?|treats?|mentions?|has|have) @",
        r"\b(is|are) @ (also |a )?(in|part of|covered in|included in|contained in|found in|on) %",
        r"\b(does|do) @ (also )?(appear|stand|occur) in %",
        r"\bwhere\b",
        r"\b(which|what) (\w+ )?(parts?|sections?|chapters?|paths?|tracks?|roadmaps?|topics?|place)\b.*\b(is|are|has|have|covers?"
        r"|contains?|includes?|teach\w*|treats?|deals? with|mentions?|discuss\w*|under|holds?) @",
        r"\b(which|what) (\w+ )?(parts?|sections?|chapters?|paths?|tracks?|roadmaps?|topics?|place)\b.*@ (belongs?|stands?|appears?|fits?"
        r"|comes?|sits?|falls?|is|are|filed|to|in|under|covered|taught|treated)\b",
        r"\b(in|to|under) (which|what) (\w+ )?(parts?|sections?|chapters?|paths?|tracks?|topics?)\b",
        r"\bbelongs? to\b",
        r"\bfiled\b",
        r"\bpart of what\b",
        r"\blocated\b",
        r"\bposition of\b",
    ),
    _rule(
        "concepts",
        r"\b(concepts?|sub ?topics?|covers?|covered|contains?|contents?|includes?|comprises?|consists?|topics?"
        r"|sections?|chapters?|parts|blocks|units|steps|ideas|listed|put|puts|under|recommended|suggested|taught|teach"
        r"|teaches|learn|go through|outline|order|overview|syllabus|agenda"
        r"|segments|tracks|stages|structured?|organi[sz]ed|divided|called|named|title|titled)\b",
        r"\bwhat is in [@%]",
        r"^(show |list |outline |what (does|do) )?[@%]( track)?$",
        r"^what in @",
        r"\bwhich @ (are|is) (\w+ )?(recommended|suggested|listed|named|in)\b",
        r"\bwhich @ (are|is)$",
        r"\bgo over\b",
        fewest=0,
        most=1,
    ),
)
