"""ComfyUI's nodes for videos, for the host without a ComfyUI; they need the package av."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from torch import Tensor

from swin2sr_core.errors import InputError

from ...comfy_stub import folder_paths
from ...comfy_stub import io_types as io
from .core_nodes import input_path, is_there
from .video import Sound, Video, VideoFile, encode

_SUFFIXES = (".mp4", ".webm", ".mkv", ".mov", ".avi")


class LoadVideo(io.ComfyNode):
    """Names a video of the input folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        folder = Path(folder_paths.get_input_directory())
        files = folder.iterdir() if folder.is_dir() else ()
        names = sorted(path.name for path in files if path.suffix.lower() in _SUFFIXES)
        return io.Schema(
            node_id="LoadVideo",
            display_name="Load Video",
            category="image/video",
            inputs=[io.Combo.Input("file", options=names, upload=io.UploadType.video)],
            outputs=[io.Video.Output()],
        )

    @classmethod
    def validate_inputs(cls, file: str | None) -> bool | str:
        return is_there(file, "video")

    @classmethod
    def fingerprint_inputs(cls, file: str) -> object:
        stat = input_path(file).stat()
        return [stat.st_mtime_ns, stat.st_size]

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        return io.NodeOutput(VideoFile(input_path(file)))


class GetVideoComponents(io.ComfyNode):
    """Frames, sound and frame rate of a video."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="GetVideoComponents",
            display_name="Get Video Components",
            category="image/video",
            inputs=[io.Video.Input("video")],
            outputs=[
                io.Image.Output(display_name="images"),
                io.Audio.Output(display_name="audio"),
                io.Float.Output(display_name="fps"),
            ],
        )

    @classmethod
    def execute(cls, video: Video | VideoFile) -> io.NodeOutput:
        decoded = _decoded(video)
        return io.NodeOutput(decoded.images, decoded.sound, float(decoded.rate))


class CreateVideo(io.ComfyNode):
    """A video of frames and sound."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CreateVideo",
            display_name="Create Video",
            category="image/video",
            inputs=[
                io.Image.Input("images"),
                io.Float.Input("fps", default=30.0, min=1.0, max=120.0, step=1.0),
                io.Audio.Input("audio", optional=True),
            ],
            outputs=[io.Video.Output()],
        )

    @classmethod
    def execute(cls, images: Tensor, fps: float, audio: Sound | None = None) -> io.NodeOutput:
        return io.NodeOutput(Video(images, Fraction(fps), audio))


class SaveVideo(io.ComfyNode):
    """Writes a video into the output folder, with the prompt in it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SaveVideo",
            display_name="Save Video",
            category="image/video",
            inputs=[
                io.Video.Input("video"),
                io.String.Input("filename_prefix", default="video/ComfyUI"),
                io.Combo.Input("format", options=["auto", "mp4"], default="auto"),
                io.Combo.Input("codec", options=["auto", "h264"], default="auto"),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls, video: Video | VideoFile, filename_prefix: str, format: str, codec: str
    ) -> io.NodeOutput:
        if isinstance(video, VideoFile):
            raise InputError(
                "the embedded host does not copy video files; take the video apart with Get Video "
                "Components and put it together with Create Video"
            )
        height, width = video.images.shape[1:3]
        output = folder_paths.get_output_directory()
        place, name, number, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, output, width, height
        )
        extra = cls.hidden.extra_pnginfo
        metadata = dict(extra) if isinstance(extra, dict) else {}
        if cls.hidden.prompt is not None:
            metadata["prompt"] = cls.hidden.prompt
        file = f"{name}_{number:05}_.mp4"
        encode(video, Path(place, file), metadata)
        entry = {"filename": file, "subfolder": subfolder, "type": "output"}
        return io.NodeOutput(ui={"images": [entry], "animated": (True,)})


NODES: tuple[type[io.ComfyNode], ...] = (LoadVideo, GetVideoComponents, CreateVideo, SaveVideo)


def _decoded(video: Video | VideoFile) -> Video:
    return video.decoded() if isinstance(video, VideoFile) else video
