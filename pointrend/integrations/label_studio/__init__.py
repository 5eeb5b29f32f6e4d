"""A machine learning backend for Label Studio (https://labelstud.io): masks on photos before anybody has drawn any.

======================  ==================================================================
:mod:`.labelling`       the project's labelling configuration: which tool draws which label
:mod:`.brush`           masks as Label Studio's brush stores them
:mod:`.regions`         a prediction as regions of the canvas, and regions as boxes
:mod:`.photos`          the photos of tasks, from Label Studio alone
:mod:`.backend`         tasks in, predictions out
:mod:`.app`             the protocol, as a Starlette application
======================  ==================================================================
"""
