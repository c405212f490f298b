// Bring a panel that has just been filled into view, and the keyboard with it.
window.showPanel = (selector) => setTimeout(() => {
  const title = document.querySelector(selector);
  if (!title) return;
  title.focus({ preventScroll: true });
  const narrow = window.matchMedia('(max-width: 760px)').matches;
  (narrow ? title : title.closest('article').querySelector('mark.quote'))?.scrollIntoView({ block: narrow ? 'start' : 'center' });
}, 60);
