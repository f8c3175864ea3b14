"""A WHIP and WHEP client by aiortc, for TestAiortc.

    aiortc_client.py publish URL TOKEN    sends a picture, red on the left and blue on the right, and a tone, until stdin ends
    aiortc_client.py subscribe URL TOKEN  waits until it sees and hears that, and tells as JSON what it got
"""

import asyncio
import fractions
import json
import sys
import urllib.request

import aioice.ice
import av
import numpy
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs.h264 import H264Encoder
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

# It gathers none of loopback by itself, and a machine may have no other address.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]

# Its encoder passes over requests for key frames; one that is made anew begins with one.
encode = H264Encoder.encode


def encode_anew(self, frame, force_keyframe=False):
    if force_keyframe:
        self.codec = None
    return encode(self, frame, force_keyframe)


H264Encoder.encode = encode_anew


class Picture(VideoStreamTrack):
    async def recv(self):
        pts, time_base = await self.next_timestamp()
        pixels = numpy.zeros((240, 320, 3), numpy.uint8)
        pixels[:, :160, 0] = 200
        pixels[:, 160:, 2] = 200
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    async def recv(self):
        frame = await super().recv()  # paced silence: 20 ms at 8 kHz
        t = (frame.pts + numpy.arange(frame.samples)) / frame.sample_rate
        samples = (8000 * numpy.sin(2 * numpy.pi * 440 * t)).astype(numpy.int16)
        tone = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        tone.pts, tone.sample_rate = frame.pts, frame.sample_rate
        tone.time_base = fractions.Fraction(1, frame.sample_rate)
        return tone


def request(method, url, token, body=None):
    headers = {"Authorization": "Bearer " + token, "Content-Type": "application/sdp"}
    made = urllib.request.Request(url, method=method, data=body and body.encode(), headers=headers)
    with urllib.request.urlopen(made) as answer:
        return answer.status, answer.headers, answer.read().decode()


async def connect(pc, url, token):
    await pc.setLocalDescription(await pc.createOffer())
    status, headers, sdp = await asyncio.to_thread(request, "POST", url, token, pc.localDescription.sdp)
    assert status == 201, status
    await pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
    return headers["Location"]


async def publish(url, token):
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTrack(Tone())
    pc.addTrack(Picture())
    session = await connect(pc, url, token)
    await asyncio.to_thread(sys.stdin.read)
    status, _, _ = await asyncio.to_thread(request, "DELETE", session, token)
    assert status == 200, status
    await pc.close()


async def see(track):
    frames = 0
    while True:
        frame = await track.recv()
        frames += 1
        pixels = frame.to_ndarray(format="rgb24").astype(int)
        left, right = pixels[:, 20:140].mean((0, 1)), pixels[:, 180:300].mean((0, 1))
        if frames >= 30 and left[0] > 150 and left[2] < 60 and right[2] > 150 and right[0] < 60:
            return {"frames": frames, "width": frame.width, "height": frame.height}


async def hear(track):
    packets = 0
    while True:
        frame = await track.recv()
        packets += 1
        samples = frame.to_ndarray().reshape(-1, 2)[:, 0].astype(float)
        if packets >= 50 and numpy.abs(samples).max() > 4000:
            crossings = numpy.count_nonzero(numpy.diff(numpy.signbit(samples)))
            return {"packets": packets, "hertz": crossings / 2 * frame.sample_rate / len(samples)}


async def subscribe(url, token):
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sound, picture = [pc.addTransceiver(kind, direction="recvonly").receiver for kind in ("audio", "video")]
    session = await connect(pc, url, token)
    heard, seen = await asyncio.gather(hear(sound.track), see(picture.track))
    status, _, _ = await asyncio.to_thread(request, "DELETE", session, token)
    assert status == 200, status
    await pc.close()
    print(json.dumps(seen | heard))


asyncio.run({"publish": publish, "subscribe": subscribe}[sys.argv[1]](*sys.argv[2:]))
