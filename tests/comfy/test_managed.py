"""Our model in ComfyUI's memory management, and as the upscale model of other nodes."""

import gc
import weakref

import torch


def test_a_call_is_one_pass_of_the_network(compact, pack, make_picture):
    image = make_picture(12, 20).movedim(-1, 1)
    expected = pack("swin2sr_core").upscale(compact.core, image).image
    assert compact.scale == 4
    assert torch.equal(compact(image), expected)


def test_a_call_keeps_the_type(load, make_picture):
    image = make_picture(8, 8).movedim(-1, 1)
    assert load()(image.half()).dtype == torch.float16


def test_an_x2_model_makes_x2(load, put_model, make_picture):
    put_model("two.safetensors")
    assert load("two.safetensors")(make_picture(8, 9).movedim(-1, 1)).shape == (1, 3, 16, 18)


def test_moving_gives_the_model_back(compact):
    assert compact.to("cpu") is compact
    assert compact.cpu().eval() is compact


def tensors(value):
    """Every tensor that can be reached, found in another way than the code under test does."""
    gc.collect()
    seen, queue, found = set(), [value], []
    while queue:
        item = queue.pop()
        if id(item) in seen or isinstance(item, type | torch.dtype | torch.device | str):
            continue
        seen.add(id(item))
        if isinstance(item, torch.Tensor):
            found.append(item)
        elif isinstance(item, tuple | list):
            queue += item
        elif isinstance(item, dict):
            queue += item.values()
        elif hasattr(item, "__dict__"):
            queue += vars(item).values()
    return found


def test_all_of_it_is_weighed_and_moved(load, put_model):
    put_model("moving.safetensors")
    model = load("moving.safetensors")
    everything = tensors(model.core)
    size = sum(t.nelement() * t.element_size() for t in everything)
    assert model.weight_bytes == size > 10_000
    core = model.core
    model.to("meta")
    assert model.core is core, "who holds the model sees it move"
    assert {t.device.type for t in tensors(model.core)} == {"meta"}
    assert model.device.type == model.core.network.device.type == "meta"
    assert len(tensors(model.core)) == len(everything)


def test_other_packs_see_a_module_as_others_are(load, put_model):
    put_model("seen.safetensors")
    model = load("seen.safetensors")
    module, network = model.model, model.core.network
    named = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    assert named.keys() == module.state_dict().keys()
    assert [*module.parameters()] == [*network.parameters()] != []
    assert [*module.buffers()] == [*network.buffers()] != []
    shown = [*module.parameters(), *module.buffers()]
    assert sum(t.nelement() * t.element_size() for t in shown) == model.patcher.model_size()


def test_nothing_in_it_can_be_moved_alone(load, put_model):
    """ComfyUI goes through `named_modules` for what has parameters of its own, and no others."""
    put_model("whole.safetensors")
    module = load("whole.safetensors").model
    assert [*module.named_modules()] == [("", module)]
    assert not [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]


def test_another_type_is_not_taken(load, put_model, make_picture):
    """What other nodes ask for would be wrong for some of the tensors."""
    put_model("typed.safetensors")
    model, image = load("typed.safetensors"), make_picture(8, 8).movedim(-1, 1)
    expected = model(image)
    model.model.half()
    model.model.to("cpu", torch.bfloat16)
    assert torch.equal(model(image), expected)


def test_comfyui_loads_it_keeps_it_and_lets_it_go(load, put_model, upscale, make_picture, pack):
    mm = pack("nodes.host").mm
    put_model("kept.safetensors")
    model = load("kept.safetensors")
    mm.unload_all_models()
    assert model.patcher not in mm.loaded_models()
    upscale(make_picture(8, 8), model)
    assert model.patcher in mm.loaded_models()
    assert model.patcher.loaded_size() == model.weight_bytes
    upscale(make_picture(8, 8), model)
    assert mm.loaded_models().count(model.patcher) == 1
    mm.unload_all_models()
    assert model.patcher not in mm.loaded_models()
    assert model.patcher.loaded_size() == 0


def test_what_nobody_holds_is_freed(load, put_model, upscale, make_picture):
    put_model("dropped.safetensors")
    model = load("dropped.safetensors")
    upscale(make_picture(8, 8), model)
    network = weakref.ref(model.model)
    del model
    gc.collect()
    assert network() is None


def test_memory_asked_for_is_the_plans(compact, upscale, make_picture, pack, monkeypatch):
    asked = []
    mm = pack("nodes.host").mm
    real = mm.load_models_gpu

    def ask(models, **options):
        asked.append(options["memory_required"])
        return real(models, **options)

    monkeypatch.setattr(mm, "load_models_gpu", ask)
    image = make_picture(48, 40)
    upscale(image, compact)
    job = pack("nodes.job")
    planned = job.plan_batch(job.Candidate.of(compact), 48, 40, 1, job.node_settings())
    assert asked == [planned.plan.forecast_bytes]
