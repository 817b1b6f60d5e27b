// Inside WeChat: hands the order to the app around the page, once by itself and then whenever the button is
// pressed. What the app answers proves nothing: the shop asks WeChat, and the page notices.

const section = document.querySelector("#in-app");
const call = JSON.parse(section.querySelector("#app-call").textContent);
const button = section.querySelector("button");
const trouble = section.querySelector("[role=alert]");

button.addEventListener("click", pay);
// WeChat puts its bridge into the page at some time of its own.
if (window.WeixinJSBridge) payAtFirst();
else document.addEventListener("WeixinJSBridgeReady", payAtFirst, { once: true });

function payAtFirst() {
  try {
    if (sessionStorage.getItem("paying") === section.dataset.attempt) return; // only shown anew
    sessionStorage.setItem("paying", section.dataset.attempt);
  } catch {
    return; // where nothing can be remembered, nothing opens by itself again and again
  }
  pay();
}

function pay() {
  trouble.hidden = true;
  if (!window.WeixinJSBridge) {
    trouble.hidden = false;
    return;
  }
  window.WeixinJSBridge.invoke("getBrandWCPayRequest", call, ({ err_msg: said }) => {
    if (said === "get_brand_wcpay_request:ok") location.assign(section.dataset.paid);
    else trouble.hidden = said === "get_brand_wcpay_request:cancel";
  });
}
