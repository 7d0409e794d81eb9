"""The names of the sections of a report, as radiologists write them. Data only."""

import re
from typing import Literal

SectionKind = Literal[
    "findings",
    "impression",
    "indication",
    "history",
    "technique",
    "comparison",
    "examination",
    "narrative",
    "notification",
    "recommendation",
    "addendum",
    "wet_read",
    "administrative",
    "preamble",
]

# Header texts in lower case; single blanks. One wrong letter is borne in the names of CORE.
_NAMES: dict[SectionKind, str] = {
    "findings": (
        "findings|finding|findings/impression|findings and impression|findings & impression|"
        "findings/impressions|findings and impressions|impression and findings|impression/findings|"
        "impression & findings|radiographic findings|chest findings|observations|report|interpretation|"
        "description|result|results|fidings"
    ),
    "impression": (
        "impression|impressions|conclusion|conclusions|opinion|final impression|final impressions|"
        "impression and recommendation|impression and recommendations|impression & recommendation|"
        "impression/recommendation|impression/recommendations|impression and plan|impression/plan|"
        "impression/conclusion|overall impression|summary|assessment"
    ),
    "indication": (
        "indication|indications|clinical indication|clinical indications|reason for exam|"
        "reason for examination|reason for study|reason for the exam|reason for this exam|"
        "reason for this examination|reason for the examination|reason for this study|reason|"
        "clinical question|symptoms|"
        "indication for exam|indication for examination|indications for exam|ordering diagnosis|"
        "reason for visit|reason for xray|reason for x-ray"
    ),
    "history": (
        "history|clinical history|patient history|clinical information|clinical data|"
        "clinical details|medical history|history of present illness|additional history|"
        "medical condition|underlying medical condition|pertinent history|relevant history|"
        "relevant clinical history|brief history|diagnosis|admitting diagnosis|clinical statement|"
        "clinical note|clinical notes|history/indication|indication/history|clinical history/indication"
    ),
    "technique": (
        "technique|procedure|views|technical factors|protocol|dose|radiation dose|contrast|"
        "procedure comments|procedure comment|number of views|technical comments"
    ),
    "comparison": (
        "comparison|comparisons|comparison studies|reference exam|prior studies|prior study|"
        "comparison study|comparison exam|comparison exams|comparison film|comparison films|"
        "compared with|prior exam|prior exams|prior examination|priors|correlation"
    ),
    "examination": (
        "examination|exam|study|exam type|type of exam|procedure description|date of exam|"
        "exam date|study date|exam description|study type|study description|exam name|date of service|"
        "date of examination|examinations|exams"
    ),
    "narrative": "narrative",
    "notification": (
        "notification|notifications|communication|communications|contact name|critical results|"
        "critical result|recommendation discussed|findings were discussed"
    ),
    "recommendation": "recommendation|recommendations|recommendation(s)|plan",
    "addendum": "addendum|addenda|final addendum|addendum report|addendum to report",
    "wet_read": (
        "wet read|wet reading|wetread|preliminary read|preliminary report|preliminary reading|"
        "preliminary interpretation|prelim|prelim report|prelim read"
    ),
    "administrative": (
        "accession number|accession|end of impression|end impression|end of report|attending|radiologist|"
        "signed by|dictated by|electronically signed by|reported by|transcribed by|interpreted by|read by|"
        "resident|attending radiologist|signed|dictated|transcribed|approved by|"
        "report status|mrn|patient name|patient id|medical record number|ordering physician|"
        "referring physician"
    ),
}  # fmt: skip
KIND_OF: dict[str, SectionKind] = {name: kind for kind, names in _NAMES.items() for name in names.split("|")}
CORE = (
    "findings", "impression", "impressions", "conclusion", "indication", "indications", "history",
    "clinical history", "technique", "comparison", "comparisons", "examination", "addendum",
    "recommendation", "recommendations", "notification",
)  # fmt: skip
LONGEST = max(map(len, KIND_OF)) + 4
LAST_WORDS = frozenset(re.split(r"[\s/]", name)[-1] for name in KIND_OF)
