/** A sliding window over message numbers: each is accepted once, in nearly any order (as RFC 4303 section 3.4.3). */

export const WINDOW = 1024; // how far a message may lag behind the newest; more than a client has in flight

/** Remembers which of the newest `WINDOW` numbers were seen. Constant memory. */
export class ReplayWindow {
  /** The smallest number above every number seen. */
  #next = 0n;
  /** Bit i stands for number #next - 1 - i. */
  #seen = 0n;

  /** Tell whether a number is new and not too old. Nothing is remembered yet. @param {bigint} number */
  mayAccept(number) {
    const age = this.#next - 1n - number;
    return age < 0n || (age < WINDOW && !((this.#seen >> age) & 1n));
  }

  /** Remember a number, once its message has proven to be genuine. @param {bigint} number */
  accept(number) {
    const age = this.#next - 1n - number;
    if (age < 0n) {
      // a leap is cut to the window first: the other end may choose any number, our memory may not grow with it
      const leap = -age < WINDOW ? -age : BigInt(WINDOW);
      this.#seen = BigInt.asUintN(WINDOW, (this.#seen << leap) | 1n);
      this.#next = number + 1n;
    } else {
      this.#seen |= 1n << age;
    }
  }
}
