"""What a class can be asked."""

from __future__ import annotations

from dataclasses import dataclass

READ, GUESS, SHORTCUT, LABEL, GROW = "read", "guess", "shortcut", "label", "grow"
NETWORKS = ("Network A", "Network B")
NO_EXPRESSION = ("unknown", "no face")  # FER+'s two choices that are no expressions
SURE = {"a guess": 0.25, "unsure": 0.5, "fairly sure": 0.75, "certain": 1.0}  # in words, and as a probability


@dataclass(frozen=True)
class Task:
    """A task: its title, what is asked of each image, and what the teacher should know of it.

    Attributes:
        region: whether a region of the face is touched as well, and what for.
        people: whether its answers say what people see in the image, so that a class becomes a network.
    """

    title: str
    question: str
    about: str
    region: str = ""
    people: bool = False


TASKS = {
    READ: Task(
        "Read the face",
        "Which expression does this face show?",
        "How accurate are people, how sure are they, and how long do they take? A class stands beside a network on the same "
        "images.",
        people=True,
    ),
    GUESS: Task(
        "Guess the network",
        "What does the network predict for this face?",
        "Students guess the answer of a network and where it looks. Then they see both, and whether the map can be trusted.",
        region="Where does the network look? Touch the face.",
    ),
    SHORTCUT: Task(
        "Find the shortcut",
        "Which network has learned a shortcut?",
        "Two small networks, trained on rendered heads. In the training images of one of them a white square gave the label "
        "away. At first both are right; then the square contradicts the face; at last there are maps.",
    ),
    LABEL: Task(
        "Label it together",
        "Which expression does this face show?",
        "Several people label each image, as for FER+. Consensus and each person's quality follow from their votes.",
        people=True,
    ),
    GROW: Task(
        "See it grow",
        "Which expression does this face show?",
        "How much of an expression do people need? Rendered faces show one expression at every strength, in random order. The "
        "Lab page draws the curve of the class beside those of networks.",
    ),
}
