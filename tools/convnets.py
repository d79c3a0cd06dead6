"""Convolutional networks of usual kinds with random weights, for tools/static.py: what their sizes make of integers."""

import numpy as np
import onnx

from networks import FLOAT, Network


class ConvNet(Network):
    """A Network with what these are made of; activations are methods that take a name and give one."""

    def conv(self, x: str, i: int, o: int, k: int = 3, s: int = 1, g: int = 1, pad: int | None = None) -> str:
        pads = [k // 2 if pad is None else pad] * 4
        w = self.rng.standard_normal((o, i // g, k, k), dtype=np.float32) * np.float32((2 / (i // g * k * k)) ** 0.5)
        b = self.rng.standard_normal(o, dtype=np.float32) * np.float32(0.1)
        return self.add("Conv", x, self.constant(w), self.constant(b), strides=[s, s], pads=pads, group=g, kernel_shape=[k, k])

    def relu(self, x: str) -> str:
        return self.add("Relu", x)

    def relu6(self, x: str) -> str:
        return self.add("Clip", x, self.constant(np.float32(0)), self.constant(np.float32(6)))

    def silu(self, x: str) -> str:
        return self.add("Mul", x, self.add("Sigmoid", x))

    def hard_swish(self, x: str) -> str:
        return self.add("HardSwish", x)

    def hard_parts(self, x: str) -> str:
        """The same as exporters write it below opset 14."""
        three, zero, six = (self.constant(np.float32(n)) for n in (3, 0, 6))
        cut = self.add("Clip", self.add("Add", x, three), zero, six)
        return self.add("Div", self.add("Mul", x, cut), six)

    def leaky(self, x: str) -> str:
        return self.add("LeakyRelu", x, alpha=0.1)

    def prelu(self, x: str, c: int) -> str:
        return self.add("PRelu", x, self.constant(np.full((c, 1, 1), 0.25, np.float32)))

    def gelu(self, x: str) -> str:
        erf = self.add("Erf", self.add("Mul", x, self.constant(np.float32(0.5**0.5))))
        return self.add("Mul", x, self.add("Add", erf, self.constant(np.float32(1))))

    def norm(self, x: str, c: int) -> str:
        ones, zeros = self.constant(np.ones(c, np.float32)), self.constant(np.zeros(c, np.float32))
        return self.add("InstanceNormalization", x, ones, zeros)

    def pool(self, x: str, k: int = 2) -> str:
        return self.add("MaxPool", x, kernel_shape=[k, k], strides=[2, 2], pads=[k // 2 if k % 2 else 0] * 4)

    def up(self, x: str) -> str:
        scales = self.constant(np.float32([1, 1, 2, 2]))
        return self.add("Resize", x, "", scales, coordinate_transformation_mode="asymmetric", nearest_mode="floor")

    def concat(self, *names: str, axis: int = 1) -> str:
        return self.add("Concat", *names, axis=axis)

    def reshape(self, x: str, *shape: int) -> str:
        return self.add("Reshape", x, self.constant(np.array(shape)))

    def slice(self, x: str, first: int, end: int) -> str:
        return self.add("Slice", x, *(self.constant(np.array([n])) for n in (first, end, 1)))

    def classify(self, x: str, c: int, n: int = 1000) -> str:
        w = self.rng.standard_normal((n, c), dtype=np.float32) * np.float32(c**-0.5)
        flat = self.add("Flatten", self.add("GlobalAveragePool", x))
        return self.add("Gemm", flat, self.constant(w), self.constant(np.zeros(n, np.float32)), transB=1)


def residual(net, size, width=64, depth=2, group=None):
    """ResNet-18; with groups of some width, ResNeXt."""
    x, i = net.pool(net.relu(net.conv("image", 3, width, 7, 2)), 3), width
    for stage in range(4 if group is None else 3):
        o = width << stage if group is None else 128 << stage
        for block in range(depth):
            s = 2 if stage and not block else 1
            if group is None:
                y = net.conv(net.relu(net.conv(x, i, o, 3, s)), o, o)
            else:
                y = net.relu(net.conv(net.relu(net.conv(x, i, o, 1)), o, o, 3, s, o // (group << stage)))
                y = net.conv(y, o, o, 1)
            x = net.conv(x, i, o, 1, s) if s > 1 or i != o else x
            x, i = net.relu(net.add("Add", y, x)), o
    return net.classify(x, i)


def mobilenet_v1(net, size, alpha=1.0, act="relu"):
    a, c = getattr(net, act), lambda v: max(8, int(v * alpha))
    x, i = a(net.conv("image", 3, c(32), 3, 2)), c(32)
    for o, s in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]:
        x, i = a(net.conv(a(net.conv(x, i, i, 3, s, i)), i, c(o), 1)), c(o)
    return net.classify(x, i)


def mobilenet_v2(net, size, alpha=1.0, act="relu6", gated=False):
    """Inverted residuals; gated, by the mean of channels, MobileNetV3 and EfficientNet."""
    a, c = getattr(net, act), lambda v: max(8, int(v * alpha + 4) // 8 * 8)
    x, i = a(net.conv("image", 3, c(32), 3, 2)), c(32)
    for t, o, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for block in range(n):
            e, s = i * t, 1 if block else s
            y = a(net.conv(a(net.conv(x, i, e, 1)) if t > 1 else x, e, e, 3, s, e))
            if gated:
                g = net.relu(net.conv(net.add("GlobalAveragePool", y), e, max(8, e // 4), 1))
                y = net.add("Mul", y, net.add("HardSigmoid", net.conv(g, max(8, e // 4), e, 1), alpha=1 / 6))
            y = net.conv(y, e, c(o), 1)
            x, i = net.add("Add", y, x) if i == c(o) and s == 1 else y, c(o)
    return net.classify(a(net.conv(x, i, c(1280), 1)), c(1280))


def squeezenet(net, size):
    x, i = net.pool(net.relu(net.conv("image", 3, 64, 3, 2)), 3), 64
    for k, (s, e) in enumerate(((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))):
        q = net.relu(net.conv(x, i, s, 1))
        x, i = net.concat(net.relu(net.conv(q, s, e, 1)), net.relu(net.conv(q, s, e, 3))), 2 * e
        x = net.pool(x, 3) if k in (1, 3) else x
    return net.add("GlobalAveragePool", net.relu(net.conv(x, i, 1000, 1)))


def shufflenet(net, size, c=48):
    def branch(x, i, o, s):
        return net.relu(net.conv(net.conv(net.relu(net.conv(x, i, o, 1)), o, o, 3, s, o), o, o, 1))

    def shuffle(x, c, h):
        turned = net.add("Transpose", net.reshape(x, 1, 2, c // 2, h, h), perm=[0, 2, 1, 3, 4])
        return net.reshape(turned, 1, c, h, h)

    x, i, h = net.pool(net.relu(net.conv("image", 3, 24, 3, 2)), 3), 24, size // 4
    for o in (c, 2 * c, 4 * c):
        h //= 2
        left = net.relu(net.conv(net.conv(x, i, i, 3, 2, i), i, o, 1))
        x, i = shuffle(net.concat(left, branch(x, i, o, 2)), 2 * o, h), 2 * o
        for _ in range(3):
            x = shuffle(net.concat(net.slice(x, 0, o), branch(net.slice(x, o, i), o, o, 1)), i, h)
    return net.classify(x, i)


def unet(net, size, width=16):
    x, i, skips = "image", 3, []
    for o in (width, 2 * width, 4 * width, 8 * width):
        x = net.pool(x) if skips else x
        x, i = net.relu(net.conv(net.relu(net.conv(x, i, o)), o, o)), o
        skips.append((x, o))
    for skip, o in reversed(skips[:-1]):
        x = net.relu(net.conv(net.concat(net.up(x), skip), i + o, o))
        x, i = net.relu(net.conv(x, o, o)), o
    return net.conv(x, i, 2, 1)


def yolo(net, size, width=16, act="silu"):
    """A pyramid there and back, boxes and scores of three sizes."""

    def unit(x, i, o, k=3, s=1):
        return getattr(net, act)(net.conv(x, i, o, k, s))

    def stage(x, i, c):
        y = unit(x, i, c, 1)
        z = unit(unit(y, c, c // 2), c // 2, c)
        return unit(net.concat(y, net.add("Add", z, y)), 2 * c, c, 1)

    x, c, levels = unit("image", 3, width, 3, 2), width, []
    for _ in range(4):
        x, c = stage(unit(x, c, 2 * c, 3, 2), 2 * c, 2 * c), 2 * c
        levels.append((x, c))
    (p3, c3), (p4, c4), (p5, c5) = levels[1:]
    u = stage(net.concat(net.up(p5), p4), c5 + c4, c4)
    v = stage(net.concat(net.up(u), p3), c4 + c3, c3)
    found = []
    for x, c, n in ((v, c3, (size // 8) ** 2), (u, c4, (size // 16) ** 2), (p5, c5, (size // 32) ** 2)):
        boxes = net.reshape(net.conv(unit(x, c, c), c, 4, 1), 1, 4, n)
        scores = net.add("Sigmoid", net.reshape(net.conv(unit(x, c, c), c, 80, 1), 1, 80, n))
        found.append(net.concat(boxes, scores))
    return net.concat(*found, axis=2)


def blazeface(net, size):
    x, i = net.relu(net.conv("image", 3, 24, 5, 2)), 24
    widths = (24, 28, -32, 36, 42, -48, 56, 64, 72, 80, 88, -96, 96, 96, 96)  # below 0: half the pixels
    for o in widths:
        s, o = 1 + (o < 0), abs(o)
        y = net.conv(net.conv(x, i, i, 3, s, i), i, o, 1)
        x, i = net.relu(net.add("Add", y, x) if s == 1 and i == o else y), o
    return net.conv(x, i, 16, 1)


def faces(net, size):
    """PRelu has no integers: single convolutions between floats."""
    x, i = net.prelu(net.conv("image", 3, 64, 3, 2), 64), 64
    for o, n in ((64, 2), (128, 3), (128, 3)):
        for block in range(n):
            s = 1 if block else 2
            y = net.prelu(net.conv(net.prelu(net.conv(x, i, 2 * o, 1), 2 * o), 2 * o, 2 * o, 3, s, 2 * o), 2 * o)
            y = net.conv(y, 2 * o, o, 1)
            x, i = net.add("Add", y, x) if i == o and s == 1 else y, o
    return net.classify(x, i, 128)


def style(net, size, c=16):
    """InstanceNormalization has none, either."""

    def unit(x, i, o, k=3, s=1):
        return net.relu(net.norm(net.conv(x, i, o, k, s), o))

    x = unit(unit(unit("image", 3, c, 9), c, 2 * c, 3, 2), 2 * c, 4 * c, 3, 2)
    for _ in range(3):
        x = net.add("Add", x, net.norm(net.conv(unit(x, 4 * c, 4 * c), 4 * c, 4 * c), 4 * c))
    return net.conv(unit(net.up(unit(net.up(x), 4 * c, 2 * c)), 2 * c, c), c, 3, 9)


def densenet(net, size, k=12):
    x, i = net.pool(net.relu(net.conv("image", 3, 2 * k, 7, 2)), 3), 2 * k
    for stage in range(3):
        for _ in range(6):
            x, i = net.concat(x, net.relu(net.conv(net.relu(net.conv(x, i, 4 * k, 1)), 4 * k, k))), i + k
        if stage < 2:
            x, i = net.relu(net.conv(x, i, i // 2, 1)), i // 2
            x = net.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    return net.classify(x, i)


def vgg(net, size, width=16):
    x, i = "image", 3
    for o in (width, 2 * width, 4 * width, 8 * width):
        x, i = net.pool(net.relu(net.conv(net.relu(net.conv(x, i, o)), o, o))), o
    return net.classify(x, i, 10)


def convnext(net, size, c=48):
    x = net.conv("image", 3, c, 4, 4, pad=0)
    for stage in range(3):
        for _ in range(2):
            y = net.gelu(net.conv(net.conv(x, c, c, 7, 1, c), c, 4 * c, 1))
            x = net.add("Add", x, net.conv(y, 4 * c, c, 1))
        if stage < 2:
            x, c = net.conv(x, c, 2 * c, 3, 2), 2 * c
    return net.classify(x, c)


NETWORKS = {  # name -> function, pixels of a side, what else it takes
    "ResNet-18": (residual, 224, {}),
    "the same, a quarter as wide": (residual, 224, {"width": 16}),
    "the same, an eighth as wide": (residual, 64, {"width": 8}),
    "ResNeXt, groups of 4": (residual, 224, {"group": 4}),
    "ResNeXt, groups of 8": (residual, 224, {"group": 8}),
    "MobileNetV1": (mobilenet_v1, 224, {}),
    "the same x 0.25": (mobilenet_v1, 224, {"alpha": 0.25}),
    "the same x 0.25, 96 pixels": (mobilenet_v1, 96, {"alpha": 0.25}),
    "the same x 0.5, Relu6": (mobilenet_v1, 160, {"alpha": 0.5, "act": "relu6"}),
    "MobileNetV2": (mobilenet_v2, 224, {}),
    "the same x 0.35": (mobilenet_v2, 160, {"alpha": 0.35}),
    "the same x 0.35, Relu": (mobilenet_v2, 224, {"alpha": 0.35, "act": "relu"}),
    "MobileNetV3 x 0.75": (mobilenet_v2, 224, {"alpha": 0.75, "act": "hard_swish", "gated": True}),
    "EfficientNet x 0.75": (mobilenet_v2, 224, {"alpha": 0.75, "act": "silu", "gated": True}),
    "SqueezeNet": (squeezenet, 224, {}),
    "ShuffleNetV2": (shufflenet, 224, {}),
    "the same x 0.5": (shufflenet, 160, {"c": 24}),
    "U-Net": (unet, 192, {}),
    "U-Net, half as wide": (unet, 128, {"width": 8}),
    "YOLO, SiLU": (yolo, 320, {}),
    "YOLO, LeakyRelu": (yolo, 256, {"act": "leaky"}),
    "YOLO, Relu, half as wide": (yolo, 256, {"width": 8, "act": "relu"}),
    "BlazeFace": (blazeface, 128, {}),
    "faces, PRelu": (faces, 112, {}),
    "style, InstanceNormalization": (style, 160, {}),
    "DenseNet": (densenet, 128, {}),
    "VGG": (vgg, 64, {}),
    "VGG, half as wide": (vgg, 32, {"width": 8}),
    "ConvNeXt": (convnext, 128, {}),
    # looked at when the rule stood
    "ResNet-18, half as wide, 160 pixels": (residual, 160, {"width": 32}),
    "ResNeXt, groups of 16": (residual, 160, {"group": 16}),
    "MobileNetV1 x 0.75, 128 pixels": (mobilenet_v1, 128, {"alpha": 0.75}),
    "MobileNetV1 x 0.5, LeakyRelu": (mobilenet_v1, 192, {"alpha": 0.5, "act": "leaky"}),
    "MobileNetV2 x 0.5, Relu": (mobilenet_v2, 192, {"alpha": 0.5, "act": "relu"}),
    "EfficientNet x 0.35": (mobilenet_v2, 128, {"alpha": 0.35, "act": "silu", "gated": True}),
    "ShuffleNetV2 x 1.5, 128 pixels": (shufflenet, 128, {"c": 88}),
    "U-Net, 12 channels": (unet, 160, {"width": 12}),
    "YOLO, 12 channels": (yolo, 192, {"width": 12}),
    "BlazeFace, 256 pixels": (blazeface, 256, {}),
    "style, half as wide": (style, 128, {"c": 8}),
    # what hard sigmoids in parts cost, where they stay float
    "MobileNetV3 x 0.75, in parts": (mobilenet_v2, 224, {"alpha": 0.75, "act": "hard_parts", "gated": True}),
    "MobileNetV3 x 0.35, in parts": (mobilenet_v2, 160, {"alpha": 0.35, "act": "hard_parts", "gated": True}),
    "MobileNetV2 x 0.5, hard swish in parts": (mobilenet_v2, 192, {"alpha": 0.5, "act": "hard_parts"}),
    "MobileNetV1 x 0.5, hard swish in parts": (mobilenet_v1, 160, {"alpha": 0.5, "act": "hard_parts"}),
    "YOLO, hard swish in parts": (yolo, 256, {"width": 12, "act": "hard_parts"}),
}


def make(name: str) -> tuple[onnx.ModelProto, int]:
    """The model, and how many pixels a side of its image has."""
    build, size, options = NETWORKS[name]
    net = ConvNet()
    y = build(net, size, **options)
    return net.model({"image": (FLOAT, [1, 3, size, size])}, {y: (FLOAT, None)}, 17), size
