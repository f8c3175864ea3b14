"""A WHIP and WHEP client by GStreamer's webrtcbin, for TestWebRTCBin.

    webrtcbin_client.py publish URL TOKEN    sends a picture, red on the left and blue on the right, and a tone, until stdin ends
    webrtcbin_client.py subscribe URL TOKEN  waits until it sees and hears that, and tells as JSON what it got

The publisher posts its offer without candidates and trickles them; the subscriber waits until it has them.
"""

import array
import json
import os
import sys
import threading
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("Nice", "0.1")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC, Nice

SEND = """
webrtcbin name=peer bundle-policy=max-bundle
compositor name=picture sink_1::xpos=160 ! video/x-raw,width=320,height=240,framerate=15/1 ! videoconvert
    ! openh264enc bitrate=500000 gop-size=1000 ! video/x-h264,profile=constrained-baseline
    ! rtph264pay config-interval=-1 aggregate-mode=zero-latency ! application/x-rtp,media=video,encoding-name=H264,payload=96 ! peer.
videotestsrc is-live=true pattern=solid-color foreground-color=0xffc80000 ! video/x-raw,width=160,height=240,framerate=15/1 ! picture.
videotestsrc is-live=true pattern=solid-color foreground-color=0xff0000c8 ! video/x-raw,width=160,height=240,framerate=15/1 ! picture.
audiotestsrc is-live=true freq=440 volume=0.4 ! audioconvert ! opusenc ! rtpopuspay
    ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! peer.
"""
SEE = "rtph264depay ! h264parse ! openh264dec ! videoconvert ! video/x-raw,format=RGB ! appsink name=out emit-signals=true sync=false"
HEAR = "rtpopusdepay ! opusdec ! audioconvert ! audio/x-raw,format=S16LE,channels=1,rate=48000 ! appsink name=out emit-signals=true sync=false"


def fail(*why):
    print(*why, file=sys.stderr, flush=True)
    os._exit(1)  # whichever thread it is


sys.excepthook = lambda kind, error, _: fail(kind.__name__, error)
threading.excepthook = lambda e: fail(e.exc_type.__name__, e.exc_value)


class Client:
    """One connection. What GStreamer calls back on its threads is done on the main one."""

    def __init__(self, pipeline, url, token, trickle):
        self.pipeline, self.url, self.token, self.trickle = pipeline, url, token, trickle
        self.peer = pipeline.get_by_name("peer")
        self.session = self.etag = None
        self.early = []  # candidates from before the session
        # It gathers none of loopback by itself, and a machine may have no other address.
        address = Nice.Address.new()
        address.set_from_string("127.0.0.1")
        self.ice = self.peer.get_property("ice-agent")  # kept: it would go with what Python holds of it
        self.ice.get_property("agent").add_local_address(address)
        bus = pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", lambda _, message: fail(*message.parse_error()))
        self.peer.connect("on-negotiation-needed", lambda _: GLib.idle_add(self.offer))
        self.peer.connect("on-ice-candidate", lambda _, section, text: GLib.idle_add(self.candidate, section, text))
        self.peer.connect("notify::ice-gathering-state", lambda *_: GLib.idle_add(self.gathered))

    def request(self, method, url, body=None, **headers):
        headers = {"Authorization": "Bearer " + self.token} | {k.replace("_", "-"): v for k, v in headers.items()}
        made = urllib.request.Request(url, method=method, data=body and body.encode(), headers=headers)
        with urllib.request.urlopen(made) as answer:
            return answer.status, answer.headers, answer.read().decode()

    def offer(self):
        def made(promise):
            reply = promise.get_reply()  # the offer is part of it
            offer = reply.get_value("offer")
            self.peer.emit("set-local-description", offer, None)
            if self.trickle:
                GLib.idle_add(self.post, offer.sdp.as_text())

        self.peer.emit("create-offer", None, Gst.Promise.new_with_change_func(made))

    def gathered(self):
        complete = self.peer.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if complete and not self.trickle and not self.session:
            self.post(self.peer.get_property("local-description").sdp.as_text())

    def post(self, sdp):
        if ("a=candidate" in sdp) == self.trickle:
            fail("not the candidates that were wanted:", sdp)
        status, headers, answer = self.request("POST", self.url, sdp, Content_Type="application/sdp")
        assert status == 201, status
        self.session, self.etag = headers["Location"], headers["ETag"]
        _, parsed = GstSdp.SDPMessage.new_from_text(answer)
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, parsed)
        self.peer.emit("set-remote-description", description, None)
        for text in self.early:
            self.patch(text)

    def candidate(self, section, text):
        if self.trickle and self.session:
            self.patch(text)
        elif self.trickle:
            self.early.append(text)

    def patch(self, text):
        body = f"m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:video0\r\na={text}\r\n"
        status, _, _ = self.request("PATCH", self.session, body, Content_Type="application/trickle-ice-sdpfrag", If_Match=self.etag)
        assert status == 204, status

    def end(self):
        status, _, _ = self.request("DELETE", self.session)
        assert status == 200, status
        self.pipeline.set_state(Gst.State.NULL)


def publish(url, token):
    client = Client(Gst.parse_launch(SEND), url, token, trickle=True)
    threading.Thread(target=lambda: (sys.stdin.read(), GLib.idle_add(loop.quit)), daemon=True).start()
    client.pipeline.set_state(Gst.State.PLAYING)
    loop.run()
    client.end()


def subscribe(url, token):
    pipeline = Gst.Pipeline.new()
    pipeline.add(Gst.parse_launch("webrtcbin name=peer bundle-policy=max-bundle"))
    client = Client(pipeline, url, token, trickle=False)
    got = {"frames": 0, "packets": 0}

    def done(**more):
        got.update(more)
        if "width" in got and "hertz" in got:
            GLib.idle_add(loop.quit)

    def see(sink):
        sample = sink.emit("pull-sample")
        caps, buffer = sample.get_caps().get_structure(0), sample.get_buffer()
        width, height = caps.get_value("width"), caps.get_value("height")
        pixels = buffer.extract_dup(0, buffer.get_size())
        row = len(pixels) // height * (height // 2)
        left, right = (pixels[row + 3 * x : row + 3 * x + 3] for x in (width // 4, 3 * width // 4))
        got["frames"] += 1
        if got["frames"] >= 30 and left[0] > 150 and left[2] < 60 and right[2] > 150 and right[0] < 60:
            done(width=width, height=height)
        return Gst.FlowReturn.OK

    def hear(sink):
        buffer = sink.emit("pull-sample").get_buffer()
        samples = array.array("h", buffer.extract_dup(0, buffer.get_size()))
        got["packets"] += 1
        if got["packets"] >= 50 and max(samples) > 4000:
            crossings = sum((a < 0) != (b < 0) for a, b in zip(samples, samples[1:]))
            done(hertz=crossings / 2 * 48000 / len(samples))
        return Gst.FlowReturn.OK

    def added(_, pad):
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        video = pad.get_current_caps().get_structure(0).get_string("media") == "video"
        chain = Gst.parse_bin_from_description(SEE if video else HEAR, True)
        chain.get_by_name("out").connect("new-sample", see if video else hear)
        client.pipeline.add(chain)
        chain.sync_state_with_parent()
        pad.link(chain.get_static_pad("sink"))

    client.peer.connect("pad-added", added)
    for caps in (
        "application/x-rtp,media=audio,encoding-name=OPUS,clock-rate=48000,encoding-params=(string)2,payload=97",
        "application/x-rtp,media=video,encoding-name=H264,clock-rate=90000,payload=96,packetization-mode=(string)1,profile-level-id=(string)42e01f",
    ):
        client.peer.emit("add-transceiver", GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, Gst.Caps.from_string(caps))
    client.pipeline.set_state(Gst.State.PLAYING)
    loop.run()
    client.end()
    print(json.dumps(got))


Gst.init(None)
loop = GLib.MainLoop()
{"publish": publish, "subscribe": subscribe}[sys.argv[1]](*sys.argv[2:])
sys.stdout.flush()
os._exit(0)  # taking everything apart in order is more than a test needs
