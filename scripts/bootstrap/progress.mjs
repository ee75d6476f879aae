const SILENT_MS = 2_000;
const LINE_EVERY_MS = 5_000;
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

const seconds = (ms) => `${Math.round(ms / 1000)} s`;

/**
 * Shows progress once the work has taken two seconds: a spinner on a terminal, a line every five seconds elsewhere.
 * @param {string} label
 * @param {NodeJS.WriteStream} stream
 * @returns {(outcome: string) => void} ends it
 */
export const showProgress = (label, stream = process.stderr) => {
  const began = Date.now();
  let shown = false;
  let frame = 0;
  let lastLine = 0;
  const tick = () => {
    const elapsed = Date.now() - began;
    if (elapsed < SILENT_MS) return;
    if (stream.isTTY) {
      stream.write(`\r\u001b[2K${FRAMES[frame++ % FRAMES.length]} ${label} … ${seconds(elapsed)}`);
    } else if (elapsed - lastLine >= LINE_EVERY_MS || !shown) {
      lastLine = elapsed;
      stream.write(`${label} … ${seconds(elapsed)}\n`);
    }
    shown = true;
  };
  const timer = setInterval(tick, stream.isTTY ? 100 : 500);
  timer.unref();
  return (outcome) => {
    clearInterval(timer);
    if (!shown) return;
    stream.write(
      `${stream.isTTY ? '\r\u001b[2K' : ''}${label}: ${outcome} (${seconds(Date.now() - began)})\n`,
    );
  };
};
