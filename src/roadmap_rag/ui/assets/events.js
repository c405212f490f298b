// Links "#do/ACTION/VALUE" in answers and buttons with data-do in panels become events of this component.
const actions = ['cite', 'why', 'topic', 'fetch', 'refetch', 'unlink', 'unnote', 'ask', 'again', 'edit', 'open', 'copy', 'cited', 'good', 'bad'];
document.addEventListener('click', (click) => {
  const target = click.target.closest && click.target.closest('a[href^="#do/"], [data-do]');
  if (!target) return;
  click.preventDefault();
  let action = target.dataset.do, value = target.dataset.value;
  if (!action) [, action, value] = target.getAttribute('href').match(/^#do\/(\w+)\/(.*)$/) || [];
  if (!actions.includes(action)) return;
  window.lastChosen = target;
  trigger(action, { value: decodeURIComponent(value) });
}, true);

// The conversation stands in the address, so that a reload and a bookmark find it again.
watch('value', () => {
  const name = (element.querySelector('[data-conversation]') || { dataset: {} }).dataset.conversation || '';
  const url = new URL(location.href);
  if ((url.searchParams.get('c') || '') === name) return;
  if (name) url.searchParams.set('c', name); else url.searchParams.delete('c');
  history.replaceState(null, '', url);
});
