import type { Clock } from '../../local/states/clock.ts';

/** A clock that stands still until it is moved. */
export class VirtualClock implements Clock {
  private time: number;
  private readonly timers = new Map<number, { at: number; callback: () => void }>();
  private nextId = 1;

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.time = start;
  }

  now(): number {
    return this.time;
  }

  at(at: number, callback: () => void): () => void {
    const id = this.nextId++;
    this.timers.set(id, { at, callback });
    return () => this.timers.delete(id);
  }

  private earliest(): [number, { at: number; callback: () => void }] | undefined {
    return [...this.timers].sort((a, b) => a[1].at - b[1].at)[0];
  }

  /** Moves on to the next timer. @returns whether there was one */
  advanceToNext(): boolean {
    const next = this.earliest();
    if (!next) return false;
    this.advanceTo(next[1].at);
    return true;
  }

  advance(ms: number): void {
    this.advanceTo(this.time + ms);
  }

  private advanceTo(time: number): void {
    for (let next = this.earliest(); next && next[1].at <= time; next = this.earliest()) {
      this.timers.delete(next[0]);
      this.time = Math.max(this.time, next[1].at);
      next[1].callback();
    }
    this.time = Math.max(this.time, time);
  }
}
