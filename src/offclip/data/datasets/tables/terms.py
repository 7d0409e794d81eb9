"""Terms of use that several sets share."""

STANFORD = (
    "Stanford University School of Medicine Research Use Agreement, accepted at registration: research that "
    "is not commercial, no passing on, no attempt to identify patients."
)
PHYSIONET = (
    "PhysioNet Credentialed Health Data License 1.5.0: training in human research, a signed data use "
    "agreement, no passing on, no attempt to identify patients."
)
