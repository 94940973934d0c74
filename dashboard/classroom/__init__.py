"""The students' app: a Gradio app in which a class joins a session and answers, and nothing else.

`app` draws it, `limits` keeps scripts from crowding out others, `words` has what is shown as HTML.
"""
