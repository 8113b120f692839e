// Comfort for the console: times in the viewer's zone, with UTC on hover. Everything works without it.
for (const time of document.querySelectorAll("time[datetime]")) {
  const when = new Date(time.dateTime);
  if (Number.isNaN(when.getTime())) continue;
  time.title = `${time.dateTime.replace("T", " ").replace("Z", "")} UTC`;
  time.textContent = when.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
