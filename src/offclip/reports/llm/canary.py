"""One request with known answers before the real ones: is there a model at all, and does it do as asked?"""

import logging

from offclip.reports.llm.answer import Reading, content_of, read_answer
from offclip.reports.llm.client import Client
from offclip.reports.llm.errors import LlmError
from offclip.reports.llm.request import Requests

# Undisputed under all conventions.
CANARY = {
    "There is a large right pleural effusion.": "abnormal",
    "The lungs are clear, without effusion or pneumothorax.": "normal",
    "Two views of the chest were obtained.": "uncertain",
}
_SHOWN = 200
_log = logging.getLogger(__name__)


def check_server(client: Client, requests: Requests) -> None:
    """Ask three sentences whose labels are known.

    A wrong "uncertain" is only logged, as small models often err there.

    Args:
        client: An open connection.
        requests: Makes the requests.

    Raises:
        LlmError: The server is not there, ignores the schema, or the model mistakes normal for abnormal.
    """
    request = requests.request([requests.question(text) for text in CANARY])
    response = client.complete(request.body)
    content = ""
    try:
        content = content_of(response)
        reading = read_answer(content, request.questions)
    except LlmError as error:
        reading = Reading({}, (error.message,))
    if reading.problems:
        # The canary holds no report, so what came back may be shown.
        shown = "".join(c if c.isprintable() else " " for c in content[:_SHOWN])
        came = f" It began: {shown}" if shown else ""
        raise LlmError(
            f"The test request failed: {'; '.join(reading.problems)}.{came}",
            "Use a model that can answer in JSON, on a server that obeys response_format json_schema, or try "
            "response_format = 'json_object' under [llm].",
        )
    for name, question in request.questions.items():
        expected, label = CANARY[question.text], reading.answers[name].label
        if label == expected:
            continue
        if expected == "uncertain":
            _log.warning("The model calls a sentence about technique %s; expect it to be weak there.", label)
            continue
        raise LlmError(
            f"The test request failed: the model calls {question.text!r} {label}.", "Use a better model."
        )
