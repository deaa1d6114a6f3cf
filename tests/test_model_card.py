from __future__ import annotations

from model.card import Facts, card
from model.evaluate import Scores
from tests.networks import small_spec

GOOD = Scores(0.9852, 0.004, 0.998, 0.97, 0.9, 70.0, 6000, 60.0)
POOR = Scores(0.6, 0.02, 0.63, 0.1, 0.05, 88.0, 6000, 45.0)


def test_a_card_says_what_it_scores() -> None:
    text = card("w4a4", small_spec(), "Drawn by lot.", Facts((POOR, GOOD), 0.87, 96))
    assert text.startswith("# w4a4\n")
    assert "| weight bits, blocks 1 to 10 | 4, 4, 4, 4, 4, 4, 4, 4, 4, 4 |" in text
    assert "| LFW, 6000 pairs: accuracy | 60.00% ± 2.00% | 98.52% ± 0.40% |" in text
    assert "| LFW: threshold of the cosine, best accuracy | 0.0349 | 0.3420 |" in text
    assert "| LFW: threshold of the cosine, FAR 0.1% | 0.7071 | 0.5000 |" in text
    assert "## How it was made\n\nDrawn by lot.\n\n## Scores" in text
    assert "| cosine to the float embedding, 96 unseen training faces | 1 | 0.870 |" in text
    assert "near those of the float network" in text
    assert "esearch use only" in text


def test_a_card_says_when_the_embeddings_are_of_no_use() -> None:
    text = card("w2a2", small_spec(2), "Drawn by lot.", Facts(None, 0.1, 96))
    assert "too far from the float network's to recognise faces" in text
    assert "| LFW | not measured | not measured |" in text


def test_what_lfw_says_counts_more_than_the_cosine() -> None:
    text = card("w2a2", small_spec(2), "Drawn by lot.", Facts((GOOD, POOR), 0.95, 96))
    assert "too far from the float network's to recognise faces" in text


def test_a_trained_network_has_no_cosine_to_the_float_one() -> None:
    text = card("w4a4", small_spec(), "Trained.", Facts((GOOD, GOOD)))
    assert "cosine to the float" not in text
    assert "near those of the float network" in text
