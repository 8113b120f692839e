/** The connection of an embed that is drawn can end: a strip over it says so and offers to connect again. */
import { lossInWords } from "./words.js";

/** After these codes Qlik's own module resumes the session by itself. */
const RESUMES = [4003, 4004, 4007];

/**
 * @param {HTMLElement} root
 * @param {any} session
 * @returns {() => void} stops watching
 */
export function watchForLoss(root, session) {
  let strip = /** @type {HTMLElement | undefined} */ (undefined);
  const end = () => strip?.remove();
  const stop = session.onWebSocketEvent(({ eventType, code }) => {
    if (eventType === "resumed") end();
    if (eventType !== "suspended" || RESUMES.includes(code) || root.dataset.ready !== "1") return;
    end();
    strip = stripOf(lossInWords(code), () => session.resume());
    root.append(strip);
  });
  return () => {
    stop();
    end();
  };
}

/**
 * @param {string} text
 * @param {() => Promise<void>} connect
 */
function stripOf(text, connect) {
  const strip = document.createElement("div");
  const words = Object.assign(document.createElement("span"), { textContent: text });
  const again = Object.assign(document.createElement("button"), { type: "button", textContent: "Connect again" });
  strip.setAttribute("role", "alert");
  Object.assign(strip.style, {
    position: "absolute", inset: "auto 0 0", zIndex: "1", padding: "0.5rem 1rem", font: "inherit",
    display: "flex", flexWrap: "wrap", gap: "0.5rem 1rem", alignItems: "center", justifyContent: "space-between",
    background: "#7a1f1f", color: "#ffffff",
  });
  Object.assign(again.style, { font: "inherit", padding: "0.25rem 0.75rem", color: "#404040", background: "#ffffff", border: "0", borderRadius: "4px" });
  again.addEventListener("click", async () => {
    again.disabled = true;
    await connect().catch(() => (words.textContent = "The app could not be reached. Load the page again."));
    again.disabled = false;
  });
  strip.append(words, again);
  return strip;
}
