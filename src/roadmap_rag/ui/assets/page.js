// Bring a panel that has just been filled into view, and the keyboard with it.
window.showPanel = (selector) => setTimeout(() => {
  const title = document.querySelector(selector);
  if (!title) return;
  title.focus({ preventScroll: true });
  const panel = title.closest('.block'), quote = panel.querySelector('mark.quote');
  if (window.matchMedia('(max-width: 760px)').matches) {
    title.scrollIntoView();
    if (quote && quote.getBoundingClientRect().bottom > window.innerHeight) quote.scrollIntoView({ block: 'center' });
    return;
  }
  const below = quote ? quote.getBoundingClientRect().bottom - panel.getBoundingClientRect().top - panel.clientHeight + 120 : 0;
  panel.scrollTop = Math.max(0, below + (below > 0 ? panel.scrollTop : 0));
}, 80);

// A question that was asked does not stay in the box, whatever order its updates came in.
window.clearAsked = () => {
  const box = document.querySelector('#question textarea'), asked = [...document.querySelectorAll('#chat .user-row')].at(-1);
  if (!asked || box.value.trim() !== asked.innerText.trim() || document.querySelector('#chat .problem')) return;
  box.value = '';
  box.dispatchEvent(new Event('input', { bubbles: true }));
};

window.focusBox = () => setTimeout(() => document.querySelector('#question textarea').focus(), 80);

window.copyText = async (made) => {
  await navigator.clipboard.writeText(made.text);
  const said = document.querySelector('#status .status');
  if (said) said.textContent = 'Copied';
};

window.saveFile = (file) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([file.text], { type: 'text/markdown' }));
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};

window.setTheme = (name) => {
  const dark = name === 'Dark' || (name === 'System' && window.matchMedia('(prefers-color-scheme: dark)').matches);
  document.body.classList.toggle('dark', dark);
};
