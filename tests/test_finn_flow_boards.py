from __future__ import annotations

import pytest

from finn_flow.boards import BOARDS, Board, find_board
from finn_flow.finn_env import prepare_finn
from model.errors import UserError


def test_known_boards_and_their_resources() -> None:
    table = {
        name: (board.lut, board.bram18, board.uram, board.dsp, board.clk_period_ns)
        for name, board in BOARDS.items()
    }
    assert table == {
        "Pynq-Z1": (53_200, 280, 0, 220, 10.0),
        "Pynq-Z2": (53_200, 280, 0, 220, 10.0),
        "Ultra96-V2": (70_560, 432, 0, 360, 5.0),
        "AUP-ZU3": (70_560, 432, 0, 360, 5.0),
        "ZCU102": (274_080, 1824, 0, 2520, 5.0),
        "ZCU104": (230_400, 624, 96, 1728, 5.0),
        "KV260": (117_120, 288, 64, 1248, 5.0),
        "ecp5-85k": (83_640, 208, 0, 156, 20.0),
    }


XILINX = {name: board for name, board in BOARDS.items() if board.part.startswith("xc")}


@pytest.mark.parametrize("board", XILINX.values(), ids=XILINX)
def test_parts_are_those_that_finn_knows(board: Board) -> None:
    prepare_finn()
    from finn.util.basic import get_dsp_block, pynq_part_map

    finn_names = {"KV260": "KV260_SOM", "AUP-ZU3": "AUP-ZU3_8GB"}
    assert board.part == pynq_part_map[finn_names.get(board.name, board.name)]
    assert board.dsp_block == get_dsp_block(board.part)
    assert board.ff == 2 * board.lut


def test_the_lattice_part() -> None:
    board = BOARDS["ecp5-85k"]
    assert (board.dsp_block, board.ff, board.clock_mhz) == ("MULT18X18D", board.lut, 50.0)


def test_find_board() -> None:
    assert find_board("ZCU104") is BOARDS["ZCU104"]
    with pytest.raises(UserError) as error:
        find_board("zcu104")
    known = "AUP-ZU3, KV260, Pynq-Z1, Pynq-Z2, Ultra96-V2, ZCU102, ZCU104, ecp5-85k"
    assert str(error.value) == f"board = 'zcu104': unknown; known boards: {known}"
