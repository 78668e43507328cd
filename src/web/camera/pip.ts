import { makeVideo } from '../player/session.ts';

/** Shows what the canvas shows, divider and all, in a floating window. */
export class PictureInPicture {
  readonly possible =
    document.pictureInPictureEnabled === true && 'captureStream' in HTMLCanvasElement.prototype;
  readonly #canvas: HTMLCanvasElement;
  #video: HTMLVideoElement | undefined;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
  }

  async toggle(): Promise<void> {
    if (!this.possible) return;
    if (this.#video !== undefined) return this.close();
    const video = makeVideo();
    video.disablePictureInPicture = false;
    video.srcObject = this.#canvas.captureStream();
    video.addEventListener('leavepictureinpicture', () => this.close());
    this.#video = video;
    try {
      await video.play();
      await video.requestPictureInPicture();
    } catch {
      // The browser or the person said no.
      this.close();
    }
  }

  close(): void {
    const video = this.#video;
    this.#video = undefined;
    if (video === undefined) return;
    if (document.pictureInPictureElement === video) void document.exitPictureInPicture();
    if (video.srcObject instanceof MediaStream) for (const track of video.srcObject.getTracks()) track.stop();
    video.srcObject = null;
  }
}
