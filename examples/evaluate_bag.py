"""Judge a bag as the node would treat it, without ROS: ``python evaluate_bag.py BAG THERMAL_TOPIC VISIBLE_TOPIC``."""

import sys

from hkdnet_ros import load_engine
from hkdnet_ros.evaluation.recording import judge
from hkdnet_ros.sources.opening import open_source

bag, thermal_topic, visible_topic = sys.argv[1:]
source = open_source(bag, thermal_topic=thermal_topic, visible_topic=visible_topic)
judgement = judge(source, load_engine())
for mode, count in sorted(judgement.modes.items()):
    print(f"{count:6} frames {mode}")
for reason, count in sorted(judgement.totals.drops.items()):
    print(f"{count:6} dropped: {reason}")
for name, value in judgement.values.items():
    print(f"{value:6.3f} {name}")
