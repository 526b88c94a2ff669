"""Subscriptions that follow their publishers: through remaps, and in what was published before."""

from __future__ import annotations

import itertools
import time

import pytest
from rigging import wait_for

pytest.importorskip("rclpy", reason="needs ROS 2")

import rclpy
from builtin_interfaces.msg import Time
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String

from hkdnet_ros.node.diagnostics import deaf_subscribers
from hkdnet_ros.node.following_subscription import FollowingSubscription

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
VOLATILE, LATCHED = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL


@pytest.fixture
def talker(spun):
    return spun.add(rclpy.create_node("talker", context=spun.context))


@pytest.fixture
def follow(spun):
    """Return a function that follows a topic from a node with given arguments, and what came there."""
    made = []

    def make(topic, *arguments, node=None, parameters=(), silence_s=None, kind=String):
        if node is None:
            node = spun.add(
                rclpy.create_node(
                    "listener",
                    context=spun.context,
                    cli_args=["--ros-args", *arguments],
                    parameter_overrides=list(parameters),
                ),
                threads=2,
            )
        heard = []
        group = MutuallyExclusiveCallbackGroup()
        subscription = FollowingSubscription(node, kind, topic, heard.append, group, silence_s)
        made.append(subscription)
        return subscription, heard, node

    yield make
    for subscription in made:
        subscription.destroy()


SWAPPED = ("-r", "left:=/right", "-r", "right:=/left")


def test_swapped_remaps_follow_the_publisher_that_is_heard(talker, follow):
    left = talker.create_publisher(String, "left", QoSProfile(depth=5, reliability=BEST_EFFORT))
    talker.create_publisher(String, "right", QoSProfile(depth=5, reliability=RELIABLE))
    on_right, heard, node = follow("right", *SWAPPED)  # which is /left
    on_left, _, _ = follow("left", node=node)
    wait_for(lambda: on_right.reliability == BEST_EFFORT, what="the reliability of /left")
    assert on_left.reliability == RELIABLE
    wait_for(left.get_subscription_count, what="the subscription")

    def send():
        left.publish(String(data="here"))
        return heard

    wait_for(send, what="a message of the best-effort publisher")
    assert on_right.unheard() == []


def test_swapped_remaps_show_the_publisher_that_is_not_heard(talker, follow):
    talker.create_publisher(String, "left", QoSProfile(depth=5, reliability=BEST_EFFORT))
    fixed = Parameter("qos_overrides./left.subscription.reliability", value="reliable")
    subscription, _, node = follow("right", *SWAPPED, parameters=[fixed])
    (text,) = wait_for(subscription.unheard, what="the mismatch")
    assert text.startswith("/left: publisher talker: ")
    talker.create_subscription(String, "left", lambda _: None, QoSProfile(depth=5, reliability=RELIABLE))
    offer = QoSProfile(depth=5, reliability=BEST_EFFORT)
    wait_for(lambda: len(deaf_subscribers(node, "right", offer)) == 2, what="the mismatches")
    texts = sorted(deaf_subscribers(node, "right", offer))
    assert [text.split(":")[:2] for text in texts] == [
        ["/left", f" subscriber {name}"] for name in ("listener", "talker")
    ]
    assert deaf_subscribers(node, "left", offer) == []


@pytest.mark.parametrize("is_there_before", [True, False])
def test_what_was_published_once_is_heard_whoever_was_there_first(talker, follow, is_there_before):
    qos = QoSProfile(depth=1, reliability=RELIABLE, durability=LATCHED)
    if not is_there_before:
        subscription, heard, _ = follow("calibration")
        assert subscription.durability == VOLATILE
    publisher = talker.create_publisher(String, "calibration", qos)
    publisher.publish(String(data="once"))
    if is_there_before:
        subscription, heard, _ = follow("calibration")
    wait_for(lambda: heard and subscription.durability == LATCHED, what="the message")
    assert {message.data for message in heard} == {"once"}


def test_a_volatile_publisher_beside_a_latched_one_makes_it_volatile(talker, follow):
    latched = QoSProfile(depth=1, reliability=RELIABLE, durability=LATCHED)
    talker.create_publisher(String, "calibration", latched)
    subscription, _, _ = follow("calibration")
    wait_for(lambda: subscription.durability == LATCHED, what="transient local")
    talker.create_publisher(String, "calibration", QoSProfile(depth=1))
    wait_for(lambda: subscription.durability == VOLATILE, what="volatile")
    assert subscription.unheard() == []


def test_nothing_is_lost_while_it_changes(talker, follow):
    steady = talker.create_publisher(String, "ticks", QoSProfile(depth=100, reliability=RELIABLE))
    subscription, heard, _ = follow("ticks")
    wait_for(steady.get_subscription_count, what="the subscription")
    sent = itertools.count()
    timer = talker.create_timer(0.01, lambda: steady.publish(String(data=str(next(sent)))))
    wait_for(lambda: heard, what="a message")
    for expected in (BEST_EFFORT, RELIABLE, BEST_EFFORT):
        if expected == BEST_EFFORT:
            other = talker.create_publisher(String, "ticks", QoSProfile(depth=1, reliability=BEST_EFFORT))
        else:
            talker.destroy_publisher(other)
        wait_for(lambda expected=expected: subscription.reliability == expected, what=expected.name)
        changed = len(heard)
        wait_for(lambda changed=changed: len(heard) > changed + 100, what="messages after the change")
    talker.destroy_timer(timer)
    numbers = [int(message.data) for message in heard]
    assert sorted(set(numbers)) == list(range(numbers[0], numbers[-1] + 1))
    wait_for(lambda: steady.get_subscription_count() == 1, what="the end of the subscription before")


def test_a_publisher_that_changes_again_before_it_was_heard_leaves_two_subscriptions_at_most(talker, follow):
    steady = talker.create_publisher(String, "ticks", QoSProfile(depth=5, reliability=RELIABLE))
    subscription, heard, _ = follow("ticks")
    wait_for(steady.get_subscription_count, what="the subscription")
    for _ in range(2):
        other = talker.create_publisher(String, "ticks", QoSProfile(depth=1, reliability=BEST_EFFORT))
        wait_for(lambda: subscription.reliability == BEST_EFFORT, what="best effort")
        talker.destroy_publisher(other)
        wait_for(lambda: subscription.reliability == RELIABLE, what="reliable")
        wait_for(lambda: steady.get_subscription_count() <= 2, what="the end of all but two")

    def is_one():
        steady.publish(String(data="here"))
        return heard and steady.get_subscription_count() == 1

    wait_for(is_one, what="the end of the subscription before")


@pytest.mark.parametrize(("before", "after"), [(RELIABLE, BEST_EFFORT), (BEST_EFFORT, RELIABLE), (RELIABLE, RELIABLE)])
def test_a_topic_that_fell_silent_is_listened_to_in_both_ways_until_it_is_heard(talker, follow, before, after):
    publisher = talker.create_publisher(String, "ticks", QoSProfile(depth=5, reliability=before))
    subscription, heard, node = follow("ticks", silence_s=0.3)

    def asked_for():
        infos = node.get_subscriptions_info_by_topic("ticks")
        return sorted(info.qos_profile.reliability for info in infos)

    wait_for(lambda: publisher.publish(String(data="here")) or heard, what="a message")
    talker.destroy_publisher(publisher)
    wait_for(lambda: asked_for() == sorted((RELIABLE, BEST_EFFORT)), what="both")
    heard.clear()
    publisher = talker.create_publisher(String, "ticks", QoSProfile(depth=5, reliability=after))
    wait_for(lambda: publisher.publish(String(data="again")) or heard, what="a message after the silence")
    wait_for(lambda: publisher.publish(String(data="again")) or asked_for() == [after], what="the one that is needed")
    assert subscription.reliability == after


def test_what_two_listeners_hear_comes_once(talker, follow):
    publisher = talker.create_publisher(Image, "images", QoSProfile(depth=5, reliability=RELIABLE))
    subscription, heard, _ = follow("images", kind=Image)
    wait_for(publisher.get_subscription_count, what="the subscription")
    stamps = itertools.count()
    for expected in (BEST_EFFORT, RELIABLE) * 2:
        if expected == BEST_EFFORT:
            other = talker.create_publisher(Image, "images", QoSProfile(depth=1, reliability=BEST_EFFORT))
        else:
            talker.destroy_publisher(other)

        def send(expected=expected):
            publisher.publish(Image(header=Header(stamp=Time(sec=next(stamps)))))
            return subscription.reliability == expected and publisher.get_subscription_count() == 1

        wait_for(send, what=expected.name)
    seconds = [image.header.stamp.sec for image in heard]
    assert len(seconds) > 10
    assert seconds == sorted(set(seconds))


def test_a_topic_that_was_never_heard_has_one_subscription(talker, follow):
    _, _, node = follow("ticks", silence_s=0.1)
    time.sleep(0.8)  # a few looks at the publishers
    assert node.count_subscribers("ticks") == 1


def test_an_override_fixes_the_durability(talker, follow):
    name = "qos_overrides./calibration.subscription.durability"
    talker.create_publisher(String, "calibration", QoSProfile(depth=1, reliability=RELIABLE, durability=LATCHED))
    subscription, _, node = follow("calibration", parameters=[Parameter(name, value="volatile")])
    wait_for(lambda: node.count_publishers("calibration"), what="the publisher")
    subscription._follow()
    assert subscription.durability == VOLATILE
