/** Keeps what is filed by its rank, lowest first: each step costs the logarithm of how many there are. */
export class Ranking<T> {
  /** A heap: what is at `n` ranks before what is at `2n + 1` and `2n + 2`. */
  readonly #entries: Entry<T>[] = [];
  readonly #places = new Map<T, number>();

  get first(): T | undefined {
    return this.#entries[0]?.item;
  }

  /** The rank of the first. */
  get lowest(): number | undefined {
    return this.#entries[0]?.rank;
  }

  /** Takes it out if it has no rank. */
  file(item: T, rank: number | undefined): void {
    const place = this.#places.get(item);
    if (rank !== undefined) {
      this.#settle({ item, rank }, place ?? this.#entries.length);
      return;
    }
    if (place === undefined) return;
    this.#places.delete(item);
    const last = this.#entries.pop();
    if (last !== undefined && last.item !== item) this.#settle(last, place);
  }

  /** Puts it where it belongs, given a place that is free. */
  #settle(entry: Entry<T>, free: number): void {
    let place = free;
    for (let parent = above(place); place > 0 && this.#rankAt(parent) > entry.rank; parent = above(place)) {
      place = this.#move(parent, place);
    }
    for (let child = this.#below(place); this.#rankAt(child) < entry.rank; child = this.#below(place)) {
      place = this.#move(child, place);
    }
    this.#put(entry, place);
  }

  #below(place: number): number {
    const left = 2 * place + 1;
    return this.#rankAt(left) <= this.#rankAt(left + 1) ? left : left + 1;
  }

  #rankAt(place: number): number {
    return this.#entries[place]?.rank ?? Infinity;
  }

  /** Returns the place that is free then. */
  #move(from: number, to: number): number {
    const entry = this.#entries[from];
    if (entry !== undefined) this.#put(entry, to);
    return from;
  }

  #put(entry: Entry<T>, place: number): void {
    this.#entries[place] = entry;
    this.#places.set(entry.item, place);
  }
}

interface Entry<T> {
  readonly item: T;
  readonly rank: number;
}

function above(place: number): number {
  return (place - 1) >> 1;
}
