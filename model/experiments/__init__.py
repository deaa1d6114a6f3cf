"""The paper's experiments, each one command that writes a table, its data and a figure.

python -m model.experiments {layerwise,ptq_vs_qat,mixed,tsne,roc} --config FILE.json --out FOLDER [--jobs N]
"""
