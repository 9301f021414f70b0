"""Models, the vector they are views of, SGD on it, and randomness that is derived and never running."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from garfield import catalog, models, normalisation, randomness, settings
from garfield.gradients import Gradients
from garfield.optimiser import Sgd
from garfield.supply import Supply
from garfield.torchvision_import import import_torchvision
from garfield.vector import FlatModel, Pool


@pytest.mark.parametrize("name", catalog.OWN_MODELS)
@pytest.mark.parametrize("loss", models.LOSSES)
@pytest.mark.parametrize("classes", [10, 100])
def test_a_model_fits_its_images_and_its_loss(name: str, loss: str, classes: int) -> None:
    shape = catalog.MODELS[name].shape
    check_fits(name, loss, f"synthetic(shape={'x'.join(map(str, shape))}, classes={classes})")


def check_fits(name: str, loss: str, dataset: str) -> FlatModel:
    """Train and evaluate a batch; the model."""
    kind = catalog.find_dataset(dataset)
    model = FlatModel(models.make_model(name, loss, 1, kind))
    images = torch.randn(4, *kind.shape, generator=randomness.generator(1, "images"))
    model.module.train()
    models.loss_of(loss)(model.module(images), torch.arange(4) % kind.classes).backward()
    assert model.gradient.isfinite().all()
    assert (model.gradient != 0).float().mean() > 0.2
    output = model.module.eval()(images)
    assert output.shape == (4, kind.classes)
    assert torch.allclose(output.exp().sum(1), torch.ones(4), atol=1e-5) == (loss == "nll")
    return model


@pytest.mark.parametrize("loss", models.LOSSES)
@pytest.mark.parametrize("dataset", ["mnist", "cifar100", "synthetic(shape=3x8x20, classes=3)"])
def test_a_model_of_torchvision_fits_images_of_any_size_and_grey_ones(dataset: str, loss: str) -> None:
    check_fits("shufflenet_v2_x0_5", loss, dataset)


@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_inceptions_auxiliary_output_counts_in_training_only(dataset: str) -> None:
    kind = catalog.find_dataset(dataset)
    model = models.make_model("inception", "cross-entropy", 1, kind)
    assert model.size == (299, 299)
    images = torch.randn(2, *kind.shape, generator=randomness.generator(1, "images"))
    output = model.train()(images)
    assert isinstance(output, models.WithAuxiliary)
    assert [part.shape for part in (output.main, *output.others)] == [(2, 10)] * 2
    labels = torch.tensor([3, 4])
    main, other = (torch.nn.functional.cross_entropy(part, labels) for part in (output.main, *output.others))
    assert torch.isclose(models.loss_of("cross-entropy")(output, labels), main + 0.4 * other)
    with torch.no_grad():
        assert model.eval()(images).shape == (2, 10)


def test_the_names_of_torchvision_are_those_of_the_installed_one() -> None:
    import_torchvision()
    from torchvision import models as theirs

    assert set(catalog.MODELS) == {*catalog.OWN_MODELS, *theirs.list_models(module=theirs)}


FAMILIES = """
    alexnet convnext_tiny densenet121 efficientnet_b0 googlenet inception_v3 maxvit_t mnasnet0_5 mobilenet_v2
    regnet_x_400mf resnet18 resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_0 swin_t swin_v2_t vgg11 vgg11_bn vit_b_32
    wide_resnet50_2
    """


@pytest.mark.parametrize("name", FAMILIES.split())  # the others differ in depth and width
def test_the_catalogue_knows_the_least_images_of_a_model_and_whether_it_normalises(name: str) -> None:
    """On the meta device, where nothing is computed."""
    entry = catalog.MODELS[name]
    import_torchvision()
    with torch.device("cpu" if name.startswith("regnet") else "meta"):  # regnet's widths are computed by tensors
        inner = models._torchvision_model(name, 7).to("meta")
    assert bool(normalisation.layers(inner)) == entry.batch_norm

    def works(height: int, width: int) -> bool:
        try:
            inner.train()(torch.empty(2, 3, height, width, device="meta"))
        except (RuntimeError, ValueError, AssertionError):
            return False
        return True

    assert works(entry.least, entry.least)
    assert works(entry.least + 33, entry.least + 10) != entry.only
    if entry.least > 28 and not entry.only:
        assert not works(entry.least - 1, entry.least - 1)


def test_the_originals_names_and_sizes_of_models() -> None:
    assert {name: catalog.parse_model(name).name for name in ("resnet50", "resnet152", "inception", "vgg")} == {
        "resnet50": "resnet50",
        "resnet152": "resnet152",
        "inception": "inception_v3",
        "vgg": "vgg19",
    }
    cifar10 = catalog.DATASETS["cifar10"]
    assert FlatModel(models.make_model("convnet", "nll", 1)).dimension == 21_840
    assert FlatModel(models.make_model("cifarnet", "nll", 1, cifar10)).dimension == 62_006
    assert FlatModel(models.make_model("resnet18", "nll", 1, cifar10)).dimension == 11_181_642


def test_an_unknown_model_is_refused_with_a_name_that_is_near() -> None:
    with pytest.raises(settings.SettingError, match="did you mean resnet50\\?"):
        settings.SETTINGS["model"].parse("resnet5O")
    with pytest.raises(settings.SettingError, match=r"; there are convnet, .* and \d\d more\.$"):
        settings.SETTINGS["model"].parse("gpt")


def test_both_losses_give_the_same_value_on_the_same_model() -> None:
    images, labels = torch.randn(4, 1, 28, 28, generator=randomness.generator(1, "images")), torch.arange(4)
    values = [
        models.loss_of(loss)(models.make_model("convnet", loss, 1).eval()(images), labels) for loss in models.LOSSES
    ]
    assert torch.allclose(values[0], values[1])


def test_the_initial_model_depends_on_the_seed_alone() -> None:
    torch.manual_seed(5)
    first = FlatModel(models.make_model("convnet", "nll", 1)).parameters
    assert torch.initial_seed() == 5
    torch.manual_seed(6)
    assert torch.equal(first, FlatModel(models.make_model("convnet", "nll", 1)).parameters)
    assert not torch.equal(first, FlatModel(models.make_model("convnet", "nll", 2)).parameters)


def test_parameters_and_gradients_are_one_vector_each() -> None:
    flat = FlatModel(torch.nn.Linear(3, 2))
    images = torch.ones(1, 3)
    flat.parameters.copy_(torch.tensor([1.0, 0, 0, 0, 2, 0, 5, 7]))
    assert flat.module(images).tolist() == [[6.0, 9.0]]
    flat.module(images)[0, 1].backward()
    assert flat.gradient.tolist() == [0, 0, 0, 1, 1, 1, 0, 1]


@pytest.mark.parametrize(("momentum", "wd"), [(0.0, 0.0), (0.5, 0.0), (0.9, 0.01), (0.0, 0.1)])
def test_sgd_is_torchs_bit_for_bit(momentum: float, wd: float) -> None:
    draw = randomness.generator(1, "sgd")
    theirs = torch.nn.Parameter(torch.randn(1000, generator=draw))
    reference = torch.optim.SGD([theirs], lr=0.1, momentum=momentum, weight_decay=wd, foreach=False)
    ours, spare = theirs.detach().clone(), torch.empty(1000)
    optimiser = Sgd(momentum, wd)
    for _ in range(5):
        gradient = torch.randn(1000, generator=draw)
        theirs.grad = gradient.clone()
        reference.step()
        ours, spare = optimiser.step(ours, gradient.clone(), 0.1, out=spare), ours
    assert torch.equal(ours, theirs.detach())


def test_a_vector_that_is_being_sent_is_not_handed_out() -> None:
    pool = Pool(4)
    first = pool.take(keep=torch.empty(4))
    pool.lend(first)
    pool.lend(first)
    second = pool.take(keep=first)
    assert second is not first
    pool.give_back(first)
    third = pool.take(keep=second)
    assert third is not first
    assert third is not second
    pool.give_back(first)
    assert pool.take(keep=second) is first
    assert pool.take(keep=first) is second


def test_derived_seeds_differ_by_purpose_and_repeat() -> None:
    seeds = {randomness.derive(*words) for words in [(1, "a", 2), (1, "a", 3), (2, "a", 2), (1, "b", 2), (1, "a", 2)]}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)


def gradients(rank: int, **parameters: object) -> Gradients:
    values = {"dataset": "digits", "num_workers": 5, "batch": 16, "rank": rank, **parameters}
    return Gradients(settings.defaults() | values)


def first(worker: Gradients, step: int = 0) -> tuple[float, torch.Tensor]:
    loss, vector = worker.at(step, Supply(worker.values).batches(worker.conduct).at(step))
    return loss, vector.clone()


def test_a_step_repeats_whatever_came_before() -> None:
    worker = gradients(2)
    once = first(worker, step=3)
    first(worker, step=1)
    assert first(worker, step=3)[0] == once[0]
    assert torch.equal(first(gradients(2), step=3)[1], once[1])


def test_an_honest_worker_is_not_changed_by_the_attack_of_another() -> None:
    attacked = gradients(2, attack="sign-flip(scale=100)", byz_workers=1)
    assert torch.equal(first(attacked)[1], first(gradients(2))[1])
    assert torch.equal(
        first(gradients(1, attack="sign-flip(scale=100)", byz_workers=1))[1], -100 * first(gradients(1))[1]
    )


def test_mimic_sends_the_very_gradient_it_copies() -> None:
    assert torch.equal(first(gradients(1, attack="mimic", byz_workers=1))[1], first(gradients(2))[1])


def test_label_flip_trains_on_wrong_labels() -> None:
    flipped, honest = (first(gradients(1, attack=attack, byz_workers=1)) for attack in ("label-flip", "none"))
    assert flipped[0] != honest[0]
    assert not torch.equal(flipped[1], honest[1])


@pytest.mark.parametrize("attack", ["alie(z=1.5)", "ipm", "min-max", "min-sum"])
def test_attackers_that_estimate_see_the_same_and_send_the_same(attack: str) -> None:
    vectors = [first(gradients(rank, attack=attack, byz_workers=2))[1] for rank in (1, 2)]
    assert torch.equal(*vectors)
    assert vectors[0].isfinite().all()


@pytest.mark.parametrize(("model", "needed"), [("convnet", False), ("resnet18", True)])
def test_a_process_that_warms_up_imports_torchvision_only_for_a_model_of_it(model: str, needed: bool) -> None:
    code = (
        "import sys; from garfield import trainer; trainer.warm_up('digits', sys.argv[1]); "
        "print('torchvision' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True, timeout=120)
    assert done.stdout == f"{needed}\n", done.stderr
