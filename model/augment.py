"""Changes of training faces that leave the person: mirror image, shift, zoom, light, blur, JPEG.

A change is drawn per face from the seed and the number of the step, for the whole batch, so that neither
resuming nor the number of processes changes what is drawn.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from model.data import Images, pixels
from model.network import PIXEL_OFFSET
from model.train_settings import Augmentation

Draws = NDArray[np.float64]  # (N, 9), each 0..1
COLUMNS = ("mirror", "right", "down", "zoom", "brightness", "contrast", "blur", "jpeg", "quality")
JPEG_QUALITY = 20, 60  # what messengers and old cameras leave


def draw(batch: int, seed: int, step: int) -> Draws:
    """What the changes of a step's batch follow from."""
    return np.random.default_rng((seed, step)).random((batch, len(COLUMNS)))


def augment(images: Images, strength: Augmentation, draws: Draws, device: torch.device) -> Tensor:
    """uint8 (N, H, W, 3) -> the network's input float32 (N, 3, H, W), whole pixels minus 128."""
    drawn = dict(zip(COLUMNS, draws.T, strict=True))
    x = pixels(recompressed(images, drawn["jpeg"] < strength.jpeg, drawn["quality"])).to(device)
    signed = {name: torch.from_numpy(2 * value - 1).to(x) for name, value in drawn.items()}
    chosen = {name: torch.from_numpy(drawn[name]).to(device)[:, None, None, None] for name in drawn}
    if strength.mirror:
        x = torch.where(chosen["mirror"] < strength.mirror, x.flip(3), x)
    if strength.shift or strength.zoom:
        shifts = [2 * strength.shift * signed[name] for name in ("right", "down")]  # the side has length 2
        x = moved(x, shifts[0], shifts[1], 1 + strength.zoom * signed["zoom"])
    if strength.blur:
        x = torch.where(chosen["blur"] < strength.blur, blurred(x), x)
    if strength.brightness or strength.contrast:
        gain = 1 + strength.contrast * signed["contrast"]
        shift = 255 * strength.brightness * signed["brightness"]
        x = x * gain[:, None, None, None] + shift[:, None, None, None]
    x = x.round().clamp(-PIXEL_OFFSET, 255 - PIXEL_OFFSET)  # the host gives the hardware whole pixels
    return x.contiguous(memory_format=torch.channels_last)


def moved(x: Tensor, right: Tensor, down: Tensor, zoom: Tensor) -> Tensor:
    """Shifted and magnified, (N,) each, bilinear; what comes in from outside repeats the border."""
    zero = torch.zeros_like(zoom)
    rows = [torch.stack([1 / zoom, zero, -right], 1), torch.stack([zero, 1 / zoom, -down], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def blurred(x: Tensor) -> Tensor:
    """Under the binomial 3 x 3 filter."""
    line = torch.tensor([0.25, 0.5, 0.25], device=x.device, dtype=x.dtype)
    kernel = torch.outer(line, line).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=x.shape[1])


def recompressed(images: Images, chosen: NDArray[np.bool_], quality: NDArray[np.float64]) -> Images:
    """The chosen images as JPEG leaves them; quality: (N,) 0..1 within JPEG_QUALITY."""
    if not chosen.any():
        return images
    low, high = JPEG_QUALITY
    result = images.copy()
    for row in np.flatnonzero(chosen):
        file = io.BytesIO()
        Image.fromarray(images[row]).save(file, "JPEG", quality=round(low + (high - low) * quality[row]))
        result[row] = np.asarray(Image.open(file))
    return result
