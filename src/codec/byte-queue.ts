interface Announced<T> {
  item: T;
  bytes: number;
  data: Uint8Array | undefined;
  filled: number;
}

/**
 * Cuts a byte stream into announced pieces. Announcements and bytes come by different pipes, so either may be first;
 * a piece is complete when both are there. Bytes that no announcement claims yet wait, at most as many as a pipe holds.
 */
export class ByteQueue<T> {
  private readonly announced: Announced<T>[] = [];
  private early: Uint8Array[] = [];
  private current: Announced<T> | undefined;
  private readonly allocate: (item: T) => Uint8Array | undefined;

  /** `allocate` gives the buffer a piece is put into, or undefined to let it go by. */
  constructor(allocate: (item: T) => Uint8Array | undefined) {
    this.allocate = allocate;
  }

  announce(item: T, bytes: number): void {
    this.announced.push({ item, bytes, data: undefined, filled: 0 });
  }

  push(chunk: Uint8Array): void {
    this.early.push(chunk);
  }

  /** The pieces that are complete by now, in order; `data` is undefined for one that no buffer was given for. */
  *take(): Generator<{ item: T; data: Uint8Array | undefined }> {
    for (;;) {
      if (!this.current) {
        this.current = this.announced.shift();
        if (!this.current) return;
        this.current.data = this.allocate(this.current.item);
      }
      const piece = this.current;
      while (piece.filled < piece.bytes) {
        const chunk = this.early[0];
        if (!chunk) return;
        const wanted = piece.bytes - piece.filled;
        const part = chunk.length > wanted ? chunk.subarray(0, wanted) : chunk;
        piece.data?.set(part, piece.filled);
        piece.filled += part.length;
        if (part.length === chunk.length) this.early.shift();
        else this.early[0] = chunk.subarray(wanted);
      }
      this.current = undefined;
      yield { item: piece.item, data: piece.data };
    }
  }
}
