"""People as a network: sessions in which a class answers what networks answer, and the tables that come of it.

One session is one SQLite file in the workspace, with all that it shows and all that was answered. What its students see is the
Gradio app of `dashboard.classroom`; the teacher has the page “Class”.
"""
