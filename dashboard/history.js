// Streamlit makes each parameter that a page adds to its address another step of the browser's history, so that leaving a
// page took as many presses of “Back” as it has choices. One click or key is one step here, and what only completes an
// address is none.
if (!window.oneStep) {
  window.oneStep = true;
  const push = history.pushState.bind(history);
  const completes = (from, to) => to.pathname === from.pathname && [...from.searchParams].every(
    ([name, value]) => to.searchParams.getAll(name).includes(value));
  let acted = false;
  for (const act of ["click", "keydown"]) addEventListener(act, () => { acted = true; }, true);
  history.pushState = (state, title, url) => {
    if (acted && !completes(new URL(location.href), new URL(url, location.href))) {
      acted = false;
      push(state, title, url);
    } else history.replaceState(state, title, url);
    here = new URL(location.href);
  };
  // A page that was opened by a link may have completed its address before this ran: Back passes over that step.
  const opened = new URL(location.href);
  let here = opened;
  addEventListener("popstate", (event) => {
    const [from, to] = [here, new URL(location.href)];
    here = to;
    if (to.search !== from.search && completes(to, from) && completes(to, opened)) {
      event.stopImmediatePropagation();
      history.back();
    }
  }, true);
}
