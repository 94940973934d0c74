"""A class in a browser: the teacher starts it on the board, a student on a phone joins, answers and sees the answers."""

import re

from playwright.sync_api import Page, expect

from fer_core.classroom.session import sessions
from tests.browser.conftest import Workbench, expect_no_error


def test_a_teacher_and_a_student_go_through_a_class(workbench: Workbench, page: Page) -> None:
    page.goto(workbench.link("class"))
    page.get_by_label("Images", exact=True).fill("3")
    page.get_by_label("Images", exact=True).press("Enter")
    page.get_by_text("Guess the network").click()
    page.get_by_role("button", name="Start the class").click()
    page.get_by_role("button", name="Open the students' app").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    (session,) = sessions()
    port = re.search(r":(\d+)", page.locator(".board-url", has_text="http").first.inner_text())
    assert port is not None
    assert page.context.browser is not None
    with page.context.browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    ) as phone:
        student = phone.new_page()
        errors: list[str] = []
        student.on("pageerror", lambda error: errors.append(str(error)))
        student.goto(f"http://127.0.0.1:{port[1]}/?code={session.code.lower()}")
        expect(student.get_by_label("Code on the board")).to_have_value(session.code.lower())
        student.get_by_label("Nickname").fill("Ada")
        student.get_by_role("button", name="Join").click()
        expect(page.get_by_text("Ada 0")).to_be_visible()
        for done in range(1, 4):
            student.get_by_text("happy", exact=True).click()
            student.locator("img.touched").click(position={"x": 120, "y": 165})  # below the nose
            expect(student.get_by_role("radio", name="mouth")).to_be_checked()
            student.get_by_text("certain").click()
            student.get_by_role("button", name="Answer").click()
            expect(student.get_by_text(re.compile("the network predicts"))).to_be_visible()
            expect(student.get_by_role("img", name=re.compile("Map of the network"))).to_be_visible()
            expect(page.get_by_text(f"Ada {done}")).to_be_visible()  # the board follows by itself
            student.reload()  # goes on with the next image
        expect(student.get_by_text("Your 3 answers are kept")).to_be_visible()
        page.get_by_role("button", name="Show the answers to all").click()
        expect(student.get_by_text(re.compile("You are right on . of 3 images"))).to_be_visible()
        assert student.evaluate("document.documentElement.scrollWidth <= 390")
        assert errors == []
    assert session.answers()["region"].tolist() == ["mouth"] * 3
    expect_no_error(page)
