// Asks the server again and again, as long as the page is seen.

const PATIENCE = 15_000;

async function ask(path) {
  const answer = await fetch(path, {signal: AbortSignal.timeout(PATIENCE), cache: "no-store"});
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.json();
}

// `on` has answered(data), failed(error). `data` is null if there is no such thing.
export class Poll {
  #path;
  #period;
  #on;
  #timer = 0;
  #round = 0;
  #paused = false;

  constructor(path, period, on) {
    this.#path = path;
    this.#period = period;
    this.#on = on;
  }

  // Asks now, and then each period.
  start() {
    this.#paused = false;
    this.#next();
  }

  // What is under way does not count anymore.
  stop() {
    this.#paused = true;
    ++this.#round;
    clearTimeout(this.#timer);
  }

  async #next() {
    const round = ++this.#round;
    clearTimeout(this.#timer);
    let data, fault;
    try {
      data = await ask(this.#path);
    } catch (error) {
      fault = error;
    }
    if (round !== this.#round || this.#paused) return;
    this.#timer = setTimeout(() => this.#next(), this.#period);
    if (fault) this.#on.failed(fault);
    else this.#on.answered(data);
  }
}
