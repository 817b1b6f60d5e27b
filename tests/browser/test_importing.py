"""A merchant pastes keys, and the page of their import gets to its end by itself."""

import re

from playwright.sync_api import Browser, expect

from tests.browser.test_sale_live import log_in
from tests.stack import RunningShop

PASSWORD = "correct-horse-battery"
SET_UP = f"""
from django.contrib.auth.models import User
User.objects.filter(username="watcher").delete()
User.objects.create_superuser("watcher", "watcher@example.org", "{PASSWORD}")
"""
PASTE = """(field, count) => {
  const keys = Array.from({length: count}, (_, number) => `PASTED-${number}\\n`).join("");
  field.value = keys + keys;
}"""
SOON = 30_000


def test_pasted_keys_are_imported_while_one_watches(shop: RunningShop, browser: Browser, pictures):
    assert shop.manage("shell", "-c", SET_UP).returncode == 0
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    log_in(page, shop, f"{shop.url}/admin/inventory/keybatch/import/")
    page.locator("select[name=variant]").select_option(index=1)
    # As a paste does; to type it takes the browser a minute.
    page.locator("textarea[name=keys]").evaluate(PASTE, 20_000)
    page.screenshot(path=pictures / "form.png", full_page=True)

    page.get_by_role("button", name="Import keys").click()

    expect(page).to_have_url(re.compile(r"/keybatch/\d+/change/$"))
    page.screenshot(path=pictures / "moving.png", full_page=True)
    expect(page.locator("#import[data-state=done]")).to_be_visible(timeout=SOON)
    assert page.locator(".live-value").all_inner_texts() == ["40,000", "20,000", "20,000", "0"]
    page.screenshot(path=pictures / "done.png", full_page=True)

    page.get_by_text("Undo this import").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#import[data-state=undone]")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("All of its keys are taken back.")).to_be_visible()
    assert complaints == []
    context.close()
