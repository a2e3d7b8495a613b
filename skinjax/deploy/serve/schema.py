"""What the API takes and gives, for its OpenAPI document."""

from typing import Any

from pydantic import BaseModel, Field


class Answer(BaseModel):
    """What is said of a photograph, as by `skinjax predict --format=jsonl`; what is not known is left out."""

    path: str = Field(description="the name of the file, as it was sent")
    image_id: str = Field(description="the name without its ending")
    prediction: str | None = Field(None, description="the likeliest class")
    top: list[list[Any]] | None = Field(None, description="the three likeliest classes, each with its probability")
    probabilities: dict[str, float] | None = None
    entropy: float | None = Field(None, description="from 0, sure, to 1, undecided")
    conformal_set: list[str] | None = Field(None, description="it holds the true class in nine of ten lesions of each")
    distance: float | None = Field(None, description="how unlike the training photographs it is")
    unlike: bool | None = Field(None, description="more so than 19 in 20 of validation")
    p_yes: float | None = Field(None, description="the probability of yes to the bundle's question")
    yes: bool | None = None
    flags: list[str] = Field(description="blurred, dark, tiny")
    error: str = Field(description="why the photograph cannot be read, else empty")
    notice: str
    says: list[str] = Field(description="all of this in sentences")


class Answers(BaseModel):
    notices: list[str]
    answers: list[Answer]
    table: str = Field(description="the same as CSV, with the columns of skinjax predict")


class Picture(BaseModel):
    shows: str
    png: str = Field(description="base64")


class Explanation(BaseModel):
    notices: list[str]
    answer: Answer
    pictures: list[Picture]


class About(BaseModel):
    skinjax: str
    classes: list[str]
    notices: list[str]
    card: str = Field(description="the model card, in Markdown")
    limits: dict[str, float]
    batches: dict[int, int] = Field(description="how many were answered since the start, by their size")


class Fault(BaseModel):
    error: str = Field(description="what is wrong, in a sentence")


def form(several: bool) -> dict[str, Any]:
    """The body of a request, which is read as it comes and not by FastAPI."""
    file: dict[str, Any] = {"type": "string", "format": "binary"}
    name, of = ("photographs", {"type": "array", "items": file}) if several else ("photograph", file)
    schema = {"type": "object", "properties": {name: of}, "required": [name]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


TABLE = {"content": {"text/csv": {"schema": {"type": "string"}}}}
FAULTS: dict[int | str, dict[str, Any]] = {
    400: {"model": Fault, "description": "the form cannot be read"},
    403: {"model": Fault, "description": "the page of another site asks"},
    408: {"model": Fault, "description": "the photographs came too slowly"},
    413: {"model": Fault, "description": "the request is too large"},
    422: {"model": Fault, "description": "there is no photograph that can be read"},
    503: {"model": Fault, "description": "too much is asked at once: Retry-After says when to come again"},
}
