// Lists that the user has opened stay open when their content is made anew.
const opened = new Set(), name = (list) => list.querySelector('summary span').textContent;
element.addEventListener('toggle', (event) => {
  if (event.target.open) opened.add(name(event.target)); else opened.delete(name(event.target));
}, true);
watch('value', () => element.querySelectorAll('details').forEach((list) => { if (opened.has(name(list))) list.open = true; }));
