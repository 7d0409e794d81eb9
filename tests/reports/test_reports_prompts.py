"""Sentences in the shape of prompts."""

import pytest

from offclip.reports import label_sentence, prompt_for


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("The heart is enlarged.", "There is cardiomegaly."),
        ("Enlargement of the cardiac silhouette.", "There is cardiomegaly."),
        ("Small left effusion.", "There is pleural effusion of left."),
        ("Blunting of the right costophrenic angle.", "There is costophrenic angle blunting of right."),
        ("Airspace opacity in the left lower lobe.", "There is airspace disease of left lower lung."),
        ("Consolidation at the right base.", "There is consolidation of right lower lung."),
        ("Nodule in the RUL.", "There is nodule of right upper lung."),
        ("Bibasilar atelectasis.", "There is atelectasis of bilateral lower lung."),
        ("Right lung mass.", "There is mass of right lung."),
        ("Left pacemaker with its lead in the right ventricle.", "There is pacemaker of left."),
        # each finding keeps its own side
        ("Left effusion and right lower lobe consolidation.", "There is pleural effusion of left."),
        ("Cardiomegaly and small left effusion.", "There is cardiomegaly."),
        ("Streaky opacities in the left lung base.", "There is opacity of left lower lung."),
        ("In the right upper lobe there is a nodule.", "There is nodule of right upper lung."),
        # what explains a sign is named, unless it is only possible
        ("Streaky left basilar opacity reflects atelectasis.", "There is atelectasis of left lower lung."),
        ("Left basilar opacity may reflect atelectasis.", "There is opacity of left lower lung."),
        ("Blunting of the left angle is consistent with an effusion.", "There is pleural effusion."),
        ("No pneumothorax, but edema.", "There is edema."),
        ("No pneumothorax or effusion.", "There is no pneumothorax."),
        ("The heart size is normal.", "There is no cardiomegaly."),
        ("Costophrenic angles are sharp.", "There is no pleural effusion."),
        ("The lungs are clear.", "There is no finding."),
        ("No acute disease.", "There is no finding."),
        ("Views of the\nchest ..", "Views of the chest."),
        ("Fullness of the azygos fissure", "Fullness of the azygos fissure."),
    ],
)
def test_prompt(text: str, prompt: str) -> None:
    assert prompt_for(text, label_sentence(text)) == prompt
