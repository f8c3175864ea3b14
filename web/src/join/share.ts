import { Emitter } from "../client/emitter";
import { Room, type Token } from "../client";

interface ShareEvents {
  /** The screen is shown, or is not any more. */
  sharing: boolean;
}

/** For text and slides: sharp rather than smooth. */
const frameRate = 15;
const bitrate = 2_000_000;

/**
 * Our screen on the stage: as a participant of its own where the link brought a second token, and else in place of
 * our camera's picture.
 */
export class Share extends Emitter<ShareEvents> {
  #screen: MediaStream | undefined;
  #room: Room | undefined; // of the screen's own participant
  #camera: MediaStreamTrack | undefined;

  constructor(
    readonly room: Room,
    readonly token: Token | undefined,
  ) {
    super();
  }

  get sharing(): boolean {
    return this.#screen !== undefined;
  }

  /** What is shown in place of the camera, for our own tile. */
  get inPlace(): MediaStream | undefined {
    return this.#room ? undefined : this.#screen;
  }

  /** Asks the person what to show. Resolves when it is on its way; rejects when they decline, or may not. */
  async start(): Promise<void> {
    const screen = await navigator.mediaDevices.getDisplayMedia({
      video: { width: { max: 1280 }, height: { max: 720 }, frameRate: { max: frameRate } },
      audio: this.token !== undefined,
    });
    this.stop();
    const [track] = screen.getVideoTracks();
    if (!track) return;
    track.contentHint = "detail";
    track.addEventListener("ended", () => this.stop()); // by the browser's own button
    this.#screen = screen;
    if (this.token) {
      this.#room = new Room(this.token);
      this.#room.wish = () => "nothing";
      this.#room.on("ended", () => this.stop());
      this.#room.publish(screen, { maxBitrate: bitrate, maxFramerate: frameRate });
      this.#room.start();
    } else {
      this.#camera = this.room.publisher?.track("video");
      await this.room.publisher?.replace("video", track);
    }
    this.emit("sharing", true);
  }

  stop(): void {
    if (!this.#screen) return;
    for (const track of this.#screen.getTracks()) track.stop();
    this.#screen = undefined;
    if (this.#room) this.#room.leave();
    else void this.room.publisher?.replace("video", this.#camera);
    this.#room = this.#camera = undefined;
    this.emit("sharing", false);
  }
}
