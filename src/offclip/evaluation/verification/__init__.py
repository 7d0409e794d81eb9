"""What `offclip verify` checks: the installation, and a model folder."""

from offclip.evaluation.verification.check import Check
from offclip.evaluation.verification.installation import check_installation
from offclip.evaluation.verification.model import check_model

__all__ = ["Check", "check_installation", "check_model"]
