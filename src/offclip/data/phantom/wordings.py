"""The sentences of the reports, as templates: present, absent, hedged, and those about nothing.

``{side}`` and ``{zone}`` stand for place, ``{size}`` for small / moderate / large, ``{degree}`` for
mild / moderate / severe. The first wording of a present finding is the prompt-shaped one.
"""

from __future__ import annotations

PRESENT: dict[str, tuple[str, ...]] = {
    "cardiomegaly": (
        "there is {degree} cardiomegaly",
        "the heart is enlarged",
        "the cardiac silhouette is enlarged",
        "{degree} enlargement of the cardiac silhouette is noted",
        "the heart size is {degree}ly increased",
        "cardiomegaly is present",
    ),
    "pleural effusion": (
        "there is a {size} {side} pleural effusion",
        "a {size} {side} effusion is present",
        "{side} pleural effusion is seen",
        "blunting of the {side} costophrenic angle is consistent with a {size} effusion",
        "{size} {side} pleural fluid is noted",
        "layering pleural effusion on the {side}",
    ),
    "pneumothorax": (
        "there is a {size} {side} pneumothorax",
        "{side} apical pneumothorax is seen",
        "a {size} {side} pneumothorax is present",
        "a pleural line in the {side} apex indicates a pneumothorax",
        "{size} pneumothorax on the {side}",
    ),
    "consolidation": (
        "there is consolidation in the {side} {zone} lung",
        "airspace opacity in the {side} {zone} lung is concerning for pneumonia",
        "focal consolidation is seen in the {side} {zone} zone",
        "{side} {zone} lung opacity is present",
        "patchy consolidation projects over the {side} {zone} lung",
        "a {side} {zone} zone infiltrate is noted",
    ),
    "nodule": (
        "there is a nodule in the {side} {zone} lung",
        "a nodular density projects over the {side} {zone} lung",
        "{side} {zone} lung nodule is seen",
        "a {size} pulmonary nodule is noted in the {side} {zone} zone",
        "a round nodule is present in the {side} {zone} lung",
    ),
    "mass": (
        "there is a mass in the {side} {zone} lung",
        "a {size} mass is seen in the {side} {zone} zone",
        "a rounded mass projects over the {side} {zone} lung",
        "{side} {zone} lung mass is concerning for malignancy",
        "a well-defined {side} {zone} lung mass is present",
    ),
    "edema": (
        "there is {degree} pulmonary edema",
        "{degree} interstitial edema is present",
        "perihilar haze is consistent with {degree} edema",
        "diffuse interstitial opacities represent {degree} pulmonary edema",
        "{degree} pulmonary vascular congestion with edema is seen",
    ),
    "atelectasis": (
        "there is {side} basilar atelectasis",
        "linear atelectasis is seen at the {side} base",
        "{side} lower lobe subsegmental atelectasis is present",
        "plate-like atelectasis at the {side} lung base",
        "streaky {side} basilar opacity reflects atelectasis",
    ),
    "hiatal hernia": (
        "there is a {size} hiatal hernia",
        "a {size} hiatal hernia is seen behind the heart",
        "a retrocardiac opacity with an air-fluid level represents a hiatal hernia",
        "a hiatal hernia is present",
        "{size} hiatal hernia is noted",
    ),
    "pacemaker": (
        "there is a {side} chest pacemaker",
        "a {side}-sided pacemaker is in place",
        "a pacemaker generator projects over the {side} chest wall",
        "there is a {side} pacemaker with its lead in the right ventricle",
        "{side} pectoral pacemaker is present",
    ),
}

ABSENT: dict[str, tuple[str, ...]] = {
    "cardiomegaly": (
        "there is no cardiomegaly",
        "the heart size is normal",
        "the cardiac silhouette is not enlarged",
        "the cardiomediastinal silhouette is within normal limits",
        "heart size is within normal limits",
    ),
    "pleural effusion": (
        "there is no pleural effusion",
        "no pleural effusion is seen",
        "the costophrenic angles are clear",
        "no effusion",
        "there is no evidence of pleural effusion",
    ),
    "pneumothorax": (
        "there is no pneumothorax",
        "no pneumothorax is seen",
        "no pneumothorax",
        "there is no evidence of pneumothorax",
    ),
    "consolidation": (
        "there is no consolidation",
        "no focal consolidation is seen",
        "no focal airspace opacity",
        "there is no evidence of pneumonia",
    ),
    "nodule": (
        "there is no pulmonary nodule",
        "no suspicious nodule is seen",
        "there is no nodule",
        "no pulmonary nodules are identified",
    ),
    "mass": ("there is no mass", "no lung mass is seen", "no suspicious mass", "there is no pulmonary mass"),
    "edema": (
        "there is no pulmonary edema",
        "no vascular congestion",
        "the pulmonary vasculature is normal",
        "there is no edema",
    ),
    "atelectasis": (
        "there is no atelectasis",
        "no atelectasis is seen",
        "there is no evidence of atelectasis",
        "no basilar atelectasis",
    ),
    "hiatal hernia": (
        "there is no hiatal hernia",
        "no hiatal hernia is seen",
        "no evidence of hiatal hernia",
        "there is no retrocardiac hernia",
    ),
    "pacemaker": (
        "there is no pacemaker",
        "no pacemaker is seen",
        "no implanted cardiac device",
        "there is no implanted device",
    ),
}

HEDGED: dict[str, tuple[str, ...]] = {
    "cardiomegaly": ("the heart may be {degree}ly enlarged", "possible {degree} cardiomegaly"),
    "pleural effusion": (
        "possible {size} {side} pleural effusion",
        "a {side} pleural effusion cannot be excluded",
    ),
    "pneumothorax": ("questionable {size} {side} pneumothorax", "a {side} pneumothorax cannot be excluded"),
    "consolidation": (
        "{side} {zone} lung opacity may represent early consolidation",
        "consolidation in the {side} {zone} lung cannot be excluded",
    ),
    "nodule": ("possible nodule in the {side} {zone} lung", "a {side} {zone} lung nodule is suspected"),
    "mass": ("possible mass in the {side} {zone} lung", "a {side} {zone} lung mass cannot be excluded"),
    "edema": ("possible {degree} pulmonary edema", "{degree} edema is suspected"),
    "atelectasis": ("possible {side} basilar atelectasis", "{side} basilar opacity may reflect atelectasis"),
    "hiatal hernia": ("possible {size} hiatal hernia", "retrocardiac density may represent a hiatal hernia"),
    "pacemaker": ("a {side} chest device is probably a pacemaker", "possible {side} pacemaker"),
}

MIXED: dict[str, str] = {
    "cardiomegaly": "there is {degree} cardiomegaly",
    "pleural effusion": "there is a {size} {side} pleural effusion",
    "consolidation": "there is {side} {zone} lung consolidation",
    "edema": "there is {degree} pulmonary edema",
    "atelectasis": "there is {side} basilar atelectasis",
}
"""Beginnings of sentences that end in ``MIXED_ENDINGS``: one finding is there and another is not."""

MIXED_ENDINGS: dict[str, str] = {
    "pneumothorax": "without pneumothorax",
    "pleural effusion": "without pleural effusion",
    "consolidation": "but no focal consolidation",
}

LUNGS_CLEAR = (
    "the lungs are clear",
    "both lungs are clear",
    "the lungs are well expanded and clear",
    "clear lungs bilaterally",
)
BONES_NORMAL = (
    "the osseous structures are unremarkable",
    "no acute bony abnormality",
    "the bones are intact",
    "visualized bones are unremarkable",
)
GLOBAL_NORMAL = (
    "no acute cardiopulmonary abnormality",
    "no acute cardiopulmonary process",
    "normal chest radiograph",
    "there is no acute cardiopulmonary abnormality",
    "no acute findings",
    "there is no acute disease",
)
COMPARISON = (
    "comparison is made with the prior study",
    "the study is compared with the previous radiograph",
    "findings were discussed with the referring team",
    "the patient is slightly rotated",
)
TECHNIQUE = {
    "AP": (
        "portable AP view of the chest was obtained",
        "a single frontal AP view of the chest was obtained",
    ),
    "PA": ("PA view of the chest was obtained", "a frontal view of the chest was obtained"),
}
