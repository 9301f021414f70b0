"""Models: ours, and those for classification of torchvision, by the names they have there. No torch."""

from __future__ import annotations

from collections.abc import Iterator

from garfield.catalog.kinds import Model, Spec
from garfield.catalog.spelling import parse_spec, spec_text

# The classification models of torchvision 0.28, and the smallest images (pixels a side) each can be trained on; smaller
# ones are enlarged to that. A test compares both with torchvision.
_TORCHVISION: dict[int, str] = {
    28: """
        efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5
        efficientnet_b6 efficientnet_b7 efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l googlenet mnasnet0_5
        mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_16gf
        regnet_x_1_6gf regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_128gf
        regnet_y_16gf regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf resnet18
        resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d resnext101_64x4d shufflenet_v2_x0_5
        shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_t swin_s swin_b
        swin_v2_t swin_v2_s swin_v2_b wide_resnet50_2 wide_resnet101_2
        """,
    29: "densenet121 densenet161 densenet169 densenet201",
    32: """
        convnext_tiny convnext_small convnext_base convnext_large vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19
        vgg19_bn
        """,
    63: "alexnet",
    224: "maxvit_t vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32",
    299: "inception_v3",
}
_ONE_SIZE = ("maxvit", "vit")  # these take images of no other size
_NO_BATCH_NORM = ("alexnet", "convnext", "squeezenet", "swin", "vgg", "vit")
_ALIASES = {"inception_v3": ("inception",), "vgg19": ("vgg",)}  # the original trainer's names


def _torchvision_models() -> Iterator[tuple[str, Model]]:
    for least, names in _TORCHVISION.items():
        for name in names.split():
            only = name.startswith(_ONE_SIZE)
            yield (
                name,
                Model(
                    f"torchvision's, for images of {least}x{least}" + ("" if only else " or larger"),
                    least=least,
                    only=only,
                    batch_norm=not name.startswith(_NO_BATCH_NORM) or name.endswith("_bn"),
                    aliases=_ALIASES.get(name, ()),
                ),
            )


OWN_MODELS: dict[str, Model] = {
    "convnet": Model("two convolutions and two linear layers, for 28x28 grey images", (1, 28, 28)),
    "cifarnet": Model("two convolutions and three linear layers, for 32x32 colour images", (3, 32, 32)),
}
MODELS: dict[str, Model] = OWN_MODELS | dict(_torchvision_models())


def parse_model(text: str) -> Spec:
    """`text` as a model. Raises CatalogError."""
    return parse_spec(text, "model", MODELS)


def format_model(spec: Spec) -> str:
    """The text that parses to `spec`: the model's own name, also where `spec` was written by another one."""
    return spec_text(spec, MODELS)
