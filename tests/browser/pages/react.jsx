// A React host page: embed.js connects and says how, @qlik/embed-react draws.
import { QlikEmbed, QlikEmbedConfig } from "@qlik/embed-react";
import { useState } from "react";
import { createRoot } from "react-dom/client";

function Sales({ hostConfig, appId }) {
  const [item, setItem] = useState("sales-by-product");
  return (
    <QlikEmbedConfig.Provider value={hostConfig}>
      <button onClick={() => setItem("total-sales")}>Total</button>
      <div id="chart" style={{ width: 640, height: 320 }}>
        <QlikEmbed ui="analytics/chart" appId={appId} objectId={item} />
      </div>
    </QlikEmbedConfig.Provider>
  );
}

addEventListener("DOMContentLoaded", async () => {
  await window.qlikBridge.ready;
  const { appId } = document.getElementById("root").dataset;
  createRoot(document.getElementById("root")).render(<Sales hostConfig={window.qlikBridge.hostConfig} appId={appId} />);
});
