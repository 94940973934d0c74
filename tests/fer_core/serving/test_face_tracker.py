"""Faces followed from frame to frame, their probabilities smoothed over time."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_core.faces import Face, FaceCrop
from fer_core.serving.face_tracker import FORGET, SMOOTH, Tracker, overlap
from fer_core.serving.predictor import Prediction


def seen(left: float, top: float = 0.0, happy: float = 1.0, size: float = 100.0) -> Prediction:
    probs = {"happy": happy, "sad": 1 - happy}
    return Prediction(Face((left, top, size, size)), FaceCrop(), probs, np.zeros((48, 48), np.uint8))


def numbers(tracker: Tracker, at: float, *predictions: Prediction) -> list[int]:
    return [track.number for track in tracker.update(predictions, at)]


def test_overlap_is_the_shared_area_by_the_whole():
    assert overlap(Face((0, 0, 10, 10)), Face((5, 0, 10, 10))) == pytest.approx(50 / 150)
    assert overlap(Face((0, 0, 10, 10)), Face((20, 20, 5, 5))) == 0
    assert overlap(Face((0, 0, 0, 0)), Face((0, 0, 0, 0))) == 0


def test_two_faces_keep_their_numbers_while_they_move_and_change_order():
    tracker = Tracker()
    assert numbers(tracker, 0.0, seen(0), seen(300)) == [1, 2]
    assert numbers(tracker, 0.1, seen(310), seen(20)) == [2, 1]
    assert numbers(tracker, 0.2, seen(330)) == [2]
    assert numbers(tracker, 0.3, seen(30), seen(340), seen(600)) == [1, 2, 3]


def test_a_face_that_was_away_for_too_long_is_another_one():
    tracker = Tracker()
    assert numbers(tracker, 0.0, seen(0)) == [1]
    assert numbers(tracker, FORGET, seen(0)) == [1]
    assert numbers(tracker, 2 * FORGET + 0.1, seen(0)) == [2]


def test_probabilities_move_to_what_is_seen_with_the_stated_time_constant():
    tracker = Tracker()
    tracker.update([seen(0, happy=1)], 0.0)
    (track,) = tracker.update([seen(0, happy=0)], SMOOTH)
    assert track.prediction.probs["happy"] == pytest.approx(math.exp(-1))
    # Twice as many frames in the same time, of the same image, end at the same value.
    twice = Tracker()
    twice.update([seen(0, happy=1)], 0.0)
    twice.update([seen(0, happy=0)], SMOOTH / 2)
    (same,) = twice.update([seen(0, happy=0)], SMOOTH)
    assert same.prediction.probs["happy"] == pytest.approx(math.exp(-1))


def test_without_smoothing_and_after_a_change_of_network_a_frame_stands_alone():
    tracker = Tracker(smooth=0)
    tracker.update([seen(0, happy=1)], 0.0)
    assert tracker.update([seen(0, happy=0.2)], 0.1)[0].prediction.probs["happy"] == 0.2
    tracker = Tracker()
    tracker.update([seen(0)], 0.0)
    other = Prediction(Face((0, 0, 100, 100)), FaceCrop(), {"sad": 0.3, "angry": 0.7}, np.zeros((48, 48), np.uint8))
    (track,) = tracker.update([other], 0.1)
    assert track.prediction.probs == other.probs
    assert track.number == 1


boxes = st.tuples(st.floats(-50, 700), st.floats(-50, 500), st.floats(0, 1), st.floats(1, 300))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(boxes, max_size=5), min_size=1, max_size=6))
def test_whatever_comes_each_face_of_a_frame_has_one_number_and_shares_that_add_up(frames):
    tracker = Tracker()
    for step, frame in enumerate(frames):
        tracks = tracker.update([seen(*box) for box in frame], step * 0.3)
        assert len({track.number for track in tracks}) == len(frame)
        for track, box in zip(tracks, frame, strict=True):
            assert track.prediction.face.box[:2] == box[:2]
            assert sum(track.prediction.probs.values()) == pytest.approx(1)
