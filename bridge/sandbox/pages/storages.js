/**
 * In a frame of another site whose cookies the browser blocks, the mere look at a storage throws, and nebula.js looks
 * while it loads. It only needs something to write to, so such a page gets storages that last as long as it does.
 */
(() => {
  "use strict";
  class MemoryStorage {
    #kept = new Map();

    get length() {
      return this.#kept.size;
    }

    key(at) {
      return [...this.#kept.keys()][at] ?? null;
    }

    getItem(name) {
      return this.#kept.get(String(name)) ?? null;
    }

    setItem(name, value) {
      this.#kept.set(String(name), String(value));
    }

    removeItem(name) {
      this.#kept.delete(String(name));
    }

    clear() {
      this.#kept.clear();
    }
  }

  for (const name of ["sessionStorage", "localStorage"]) {
    try {
      window[name].getItem("");
    } catch {
      Object.defineProperty(window, name, { value: new MemoryStorage(), configurable: true });
    }
  }
})();
