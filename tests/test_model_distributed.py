from __future__ import annotations

import pytest
import torch

from model.distributed import Place, placed
from model.errors import UserError


def test_alone_there_is_nothing_to_exchange() -> None:
    with placed("cpu") as place:
        assert place == Place(0, 1, torch.device("cpu"))
        module = torch.nn.Linear(2, 2)
        assert place.wrapped(module) is module
        assert place.mean(torch.tensor(3.0)) == 3.0
        assert place.share(8) == slice(0, 8)


def test_cuda_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    message = r"^device = 'cuda': there is no CUDA device here; use 'cpu' or 'auto'$"
    with pytest.raises(UserError, match=message), placed("cuda"):
        pass
