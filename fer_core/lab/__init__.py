"""The lab: experiments on a network with rendered heads, of which every cause is known and can be changed alone.

    from fer_core.lab.curve import measure
    from fer_core.serving.predictor import LoadedNetwork

    curve = measure(LoadedNetwork.of(folder), "happy", people=20)
    print(curve.sentence())

`answers` asks a network about scenes and keeps what it answered. `curve` measures how much of an expression a network needs,
`muscles` which action units it uses, `who` what changes when only the person does. Decisions: docs/design/0023.
"""
